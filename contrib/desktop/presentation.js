// What a person is shown of the daemon: words and an icon made from what the bus tells, and nothing else.
//
// Pure: no imports, no clock, no bus. GNOME's extension and the Plasma widget share this file: each links to it in the checkout,
// and its install.sh copies it. Each passes its own translator as `_` and has its own icons. Plasma's JavaScript has no `{...object}`.

const N_ = text => text; // marks what is translated where it is used

/** What is known while no daemon owns the name. */
export const NOTHING = Object.freeze({
    present: false,
    State: '',
    Session: 0,
    Model: '',
    Precision: '',
    ExecutionProvider: '',
    AvailableProviders: [],
    Degraded: '',
    Progress: -1,
    LastError: '',
    Version: '',
    Device: '',
    Devices: [],
    Selection: '',
    Muted: false,
    Problem: '',
});

/** Reason codes of Engine1.Degraded, for a sentence about why recognition is slower or impossible. */
const REASONS = {
    'model-missing': N_('The speech model is missing.'),
    'model-invalid': N_('The speech model can’t be used.'),
    'resources-exhausted': N_('There is too little memory to load the speech model.'),
    'gpu-out-of-memory': N_('The graphics card has no memory left; the processor recognizes instead.'),
    'gpu-timeout': N_('The graphics card takes too long; the processor recognizes instead.'),
    'gpu-wrong-output': N_('The graphics card computes wrongly; the processor recognizes instead.'),
    'gpu-fault': N_('The graphics card failed; the processor recognizes instead.'),
    'gpu-lost': N_('The graphics card stopped answering; the processor recognizes instead.'),
    'gpu-overheating': N_('The graphics card is too hot; the processor recognizes instead.'),
    'gpu-memory-errors': N_('The graphics card’s memory is faulty; the processor recognizes instead.'),
    'no-gpu': N_('There is no graphics card that can be used; the processor recognizes instead.'),
    'driver-mismatch': N_('The graphics card’s driver doesn’t fit; the processor recognizes instead.'),
    'microphone-lost': N_('There is no microphone to hear.'),
    'microphone-muted': N_('The microphone is muted.'),
    'no-words': N_('No words were recognized in what was said last.'),
    'sleep': N_('The machine slept; the processor recognizes until the graphics card is back.'),
    'microphone-channel': N_('The microphone has no such channel; check “channel” in the settings.'),
    'microphone-quiet': N_('Speech is too quiet; turn the microphone up or move closer.'),
};
const UNKNOWN_REASON = N_('Something is wrong (%s).');

const PROVIDERS = {
    auto: N_('Automatic'),
    cpu: N_('Processor'),
    cuda: N_('Graphics card (CUDA)'),
    tensorrt: N_('Graphics card (TensorRT)'),
};

/** Loudness that fills the meter, and that leaves it empty, in dBFS: speech at a desk lies between. */
const LOUDEST = -12;
const SOFTEST = -60;

/** Characters of the longest sentence that is shown. */
const LONGEST = 200;

/** A reason code in words, empty for an empty code. */
export function reason(code, _) {
    if (!code)
        return '';
    return code in REASONS ? _(REASONS[code]) : _(UNKNOWN_REASON).replace('%s', code);
}

/** The short name of an ONNX Runtime provider, as SetProvider takes it: `cpu` of `CPUExecutionProvider`. */
export function shortProvider(name) {
    return name.replace(/ExecutionProvider$/, '').toLowerCase();
}

/** A provider in words. */
export function provider(name, _) {
    const short = shortProvider(name);
    return short in PROVIDERS ? _(PROVIDERS[short]) : short;
}

/** The model and what it runs on, in a line; empty while none is loaded. */
export function engine(facts, _) {
    if (!facts.ExecutionProvider)
        return '';
    const parts = [facts.Model, facts.Precision, provider(facts.ExecutionProvider, _)];
    return parts.filter(part => part).join(' · ');
}

/** How full a meter is, 0 to 1. */
export function meter(dbfs) {
    return Math.min(1, Math.max(0, (dbfs - SOFTEST) / (LOUDEST - SOFTEST)));
}

/**
 * What is shown.
 *
 * `kind`: gone, unavailable, fetching, loading, idle, listening, transcribing or unknown.
 * `icon`: off, waiting, ready, listening or writing; each desktop has its own pictures for them.
 * `degraded`: whether to warn. `title`, `detail`: for a person. `progress`: 0 to 1, or -1 for none.
 * `action`: the words on what the click does, empty where it can do nothing.
 *
 * @param {object} facts properties of the daemon by their names, with `present`
 * @param {Function} _ translates
 */
export function present(facts, _) {
    const shown = (kind, icon, title, action, detail = '', degraded = false, progress = -1) =>
        ({kind, icon, title, action, detail, degraded, progress});
    const why = reason(facts.Degraded, _);
    const warned = facts.Degraded !== '';
    if (!facts.present) {
        return shown('gone', 'off', _('Dictation is off'), _('Start dictating'),
            _('The service coldvoxd isn’t running.'));
    }
    switch (facts.State) {
    case 'unavailable':
        return unavailable(facts, why, shown, _);
    case 'loading':
        return shown('loading', 'waiting', _('Loading the speech model…'), _('Start dictating'), why, warned,
            facts.Progress);
    case 'idle':
        if (facts.Degraded === 'microphone-muted') {
            return shown('idle', 'ready', _('Microphone muted'), _('Start dictating'),
                _('Nothing can be heard until you unmute it in the sound settings.'), true);
        }
        return shown('idle', 'ready', _('Ready to listen'), _('Start dictating'), why, warned);
    case 'listening':
        return shown('listening', 'listening', _('Listening…'), _('Stop dictating'), why, warned);
    case 'transcribing':
        return shown('transcribing', 'writing', _('Writing it down…'), '', why, warned);
    case 'suspended':
        return shown('unavailable', 'off', _('Asleep'), '', why, warned);
    case '': // the name is owned, and the properties are on their way
        return shown('loading', 'waiting', _('Starting…'), '');
    }
    return shown('unknown', 'ready', facts.State, _('Start dictating'), why, warned);
}

function unavailable(facts, why, shown, _) {
    if (facts.Progress >= 0) {
        return shown('fetching', 'waiting', _('Fetching the speech model…'), '',
            _('%d % of it is here.').replace('%d', Math.floor(facts.Progress * 100)), false, facts.Progress);
    }
    if (facts.Degraded === 'microphone-lost')
        return shown('unavailable', 'off', _('No microphone'), '', sentence(facts.Problem, why, _), true);
    const title = facts.Degraded === 'model-missing' ? _('No speech model') : _('Dictation is unavailable');
    return shown('unavailable', 'off', title, '', sentence(facts.LastError, why, _), true);
}

/** What the daemon says, where that is short enough to be shown. */
function sentence(said, why, _) {
    if (!said)
        return why;
    if (said.includes('\n') || said.length > LONGEST)
        return [why, _('Type “coldvoxctl doctor” in a terminal: it says how to mend it.')].filter(part => part).join(' ');
    return said[0].toUpperCase() + said.slice(1);
}
