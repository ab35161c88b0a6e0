// What comes from the bus, as values: the lines that `gdbus monitor` prints, and errors as sentences. And the commands that print them.
//
// Pure, like presentation.mjs: no imports, no clock, no bus.

const N_ = text => text; // marks a text that is translated when it is used

/** Line of a signal: the object, the signal with its interface, and its values in GVariant's text format. */
const SIGNAL = /^\/\S+: (\S+)\.(\w+) \((.*)\)$/;
/** A text in GVariant's text format, which quotes one that has an apostrophe with ". */
const QUOTED = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/;
/** Values of Transcribed, up to the text, and of PartialTranscribed, which has two. */
const TEXT = new RegExp(`^(?:uint32 )?(\\d+), (?:uint32 )?(\\d+), (${QUOTED.source})(?:, (${QUOTED.source}))?`);
/** The line that gdbus prints once it receives all further signals. */
const RECEIVING = /^The name \S+ is owned by /;

const CONTROL = {a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v'};
const ESCAPE = /\\(?:u([0-9a-f]{4})|U([0-9a-f]{8})|(.))/g;

const REFUSALS = {
    missing: N_('The service coldvoxd is not installed for this user.'),
    broken: N_('The service coldvoxd could not be started. Run “coldvoxctl doctor” in a terminal: it reports how to fix this.'),
    silent: N_('The service coldvoxd does not respond.'),
};

/** Makes the kernel end gdbus with Plasma's shell, also if that crashes. Without util-linux's setpriv gdbus ends with the session. */
const BOUND = '$(command -v setpriv >/dev/null && echo setpriv --pdeathsig TERM)';

/**
 * Return a shell command that writes the daemon's signals into a FIFO until it is ended.
 *
 * Its descriptor is open in both directions, so that gdbus needn't wait for a reader and nothing is lost between two.
 *
 * @param {string} fifo its path, quoted for the shell
 * @param {string} owner unique name of the daemon's connection: gdbus starts a service that is given by its well-known name
 * @param {string} path of the daemon's object
 */
export function writing(fifo, owner, path) {
    const monitor = `gdbus monitor --session --dest ${owner} --object-path ${path}`;
    return `rm -f ${fifo} && mkfifo -m 600 ${fifo} && exec 3<>${fifo} && exec env LC_ALL=C.UTF-8 ${BOUND} ${monitor} >&3 3>&-`;
}

/**
 * Return a shell command that waits until something is in the FIFO, and prints all of it.
 *
 * @param {string} fifo its path, quoted for the shell
 * @param {string} when `first`: wait for the FIFO; `frequent`: let some signals gather; `rare`: neither
 */
export function reading(fifo, when) {
    const before = {first: `until [ -p ${fifo} ]; do sleep 0.05; done; `, frequent: 'sleep 0.1; ', rare: ''}[when];
    return `${before}exec dd if=${fifo} bs=64k count=1 2>/dev/null`;
}

/**
 * Return the complete lines of gdbus's output as events, and the rest, which is the beginning of a line.
 *
 * An event has a `member`: `PropertiesChanged` (with `iface`), `Level` (with `dbfs`), `Transcribed` (with `session`, `utterance` and
 * `text`), `PartialTranscribed` (with `unstable` too), `DictationStarted`, or `Receiving`, which is no signal: from then on nothing is
 * missed.
 */
export function events(output) {
    const lines = output.split('\n');
    const rest = lines.pop();
    return {events: lines.map(event).filter(found => found !== null), rest};
}

function event(line) {
    if (RECEIVING.test(line))
        return {member: 'Receiving'};
    const signal = SIGNAL.exec(line);
    if (!signal)
        return null;
    const [, , member, values] = signal;
    switch (member) {
    case 'PropertiesChanged':
        return {member, iface: values.slice(1, values.indexOf("'", 1))};
    case 'Level':
        return {member, dbfs: Number(values.replace(/,$/, ''))};
    case 'DictationStarted':
        return {member};
    case 'Transcribed':
    case 'PartialTranscribed':
        return said(member, values);
    }
    return null;
}

function said(member, values) {
    const found = TEXT.exec(values);
    if (!found)
        return null;
    const known = {member, session: Number(found[1]), utterance: Number(found[2]), text: unquoted(found[3])};
    return member === 'Transcribed' ? known : Object.assign(known, {unstable: unquoted(found[4] ?? "''")});
}

function unquoted(text) {
    return text.slice(1, -1).replace(ESCAPE, (all, short, long, plain) =>
        short || long ? String.fromCodePoint(parseInt(short || long, 16)) : CONTROL[plain] ?? plain);
}

/**
 * Return why a call failed, as a sentence for the user.
 *
 * @param {string} name of the D-Bus error
 * @param {string} message of the error
 * @param {Function} _ translates
 */
export function refusal(name, message, _) {
    const about = message.includes('coldvox');
    if (about && /\.(ServiceUnknown|NameHasNoOwner|NoSuchUnit)$/.test(name))
        return _(REFUSALS.missing);
    if (/\.Error\.Spawn\./.test(name) || about && name.startsWith('org.freedesktop.systemd1.'))
        return _(REFUSALS.broken);
    if (/^org\.freedesktop\.DBus\.Error\.(NoReply|Timeout|TimedOut|Disconnected)$/.test(name))
        return _(REFUSALS.silent);
    return message;
}
