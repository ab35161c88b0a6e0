// Presents the daemon to the user: words and an icon made only from the daemon's properties on the bus.
//
// Pure: no imports, no clock, no bus. GNOME's extension and the Plasma widget share this file: each links to it in the checkout,
// and its install.sh copies it. Each passes its own translator as `_` and has its own icons. Plasma's JavaScript has no `{...object}`.

const N_ = text => text; // marks a text that is translated when it is used

/** Properties while no daemon owns the name. */
export const NOTHING = Object.freeze({
    present: false,
    State: '',
    Session: 0,
    Model: '',
    Precision: '',
    ExecutionProvider: '',
    Provider: '',
    AvailableProviders: [],
    UsableProviders: [],
    Degraded: '',
    Progress: -1,
    LastError: '',
    Version: '',
    Device: '',
    Devices: [],
    Selection: '',
    Muted: false,
    Problem: '',
    Capabilities: [],
});

/** Reason codes of Engine1.Degraded, for a sentence about why recognition is slower or impossible. */
const REASONS = {
    'fallback-engine': N_('The speech model cannot be loaded; using the fallback engine.'),
    'model-missing': N_('The speech model is missing.'),
    'model-invalid': N_('The speech model cannot be used.'),
    'cpu-wrong-output': N_('The speech model’s files are damaged; run “coldvoxctl model verify”.'),
    'resources-exhausted': N_('There is too little memory to load the speech model.'),
    'gpu-out-of-memory': N_('The GPU is out of memory; using the CPU instead.'),
    'gpu-timeout': N_('The GPU takes too long; using the CPU instead.'),
    'gpu-wrong-output': N_('The GPU returns wrong results; using the CPU instead.'),
    'gpu-fault': N_('The GPU failed; using the CPU instead.'),
    'gpu-lost': N_('The GPU stopped responding; using the CPU instead.'),
    'gpu-overheating': N_('The GPU is too hot; using the CPU instead.'),
    'gpu-memory-errors': N_('The GPU’s memory has errors; using the CPU instead.'),
    'no-gpu': N_('There is no usable GPU; using the CPU instead.'),
    'driver-mismatch': N_('The GPU driver does not match its libraries; using the CPU instead.'),
    'microphone-lost': N_('There is no microphone.'),
    'microphone-muted': N_('The microphone is muted.'),
    'no-words': N_('No words were recognized in the last dictation.'),
    'sleep': N_('The machine was suspended; using the CPU until the GPU is ready.'),
    'microphone-channel': N_('The microphone does not have this channel; check “channel” in the settings.'),
    language: N_('The speech model does not know the language in the settings.'),
    'microphone-quiet': N_('Speech is too quiet; raise the microphone’s volume or move closer.'),
};
const UNKNOWN_REASON = N_('There is a problem (%s).');

const PROVIDERS = {
    auto: N_('Automatic'),
    cpu: N_('CPU'),
    cuda: N_('GPU (CUDA)'),
    tensorrt: N_('GPU (TensorRT)'),
    // Names of products, the same in every language.
    webgpu: 'GPU (Vulkan)',
    openvino: 'OpenVINO',
    'tensorrt-rtx': 'GPU (TensorRT for RTX)',
};

/** Level that fills the meter, and level that leaves it empty, in dBFS: speech at a desk is in between. */
const LOUDEST = -12;
const SOFTEST = -60;

/** Maximum length in characters of a sentence that is shown. */
const LONGEST = 200;

/** Return a reason code in words, empty for an empty code. */
export function reason(code, _) {
    if (!code)
        return '';
    return code in REASONS ? _(REASONS[code]) : _(UNKNOWN_REASON).replace('%s', code);
}

/** Return the short name of an ONNX Runtime provider, as SetProvider takes it: `cpu` for `CPUExecutionProvider`. */
export function shortProvider(name) {
    return name.replace(/ExecutionProvider$/, '').toLowerCase();
}

/** Return a provider in words. */
export function provider(name, _) {
    const short = shortProvider(name);
    return short in PROVIDERS ? _(PROVIDERS[short]) : short;
}

/** Return the short name of the provider in use, empty if no recognizer is loaded. */
export function activeProvider(facts) {
    return facts.Provider || shortProvider(facts.ExecutionProvider);
}

/** Return the short names of the providers to offer: those that were found usable, and the one in use. */
export function offeredProviders(facts) {
    const usable = facts.UsableProviders.map(shortProvider);
    const active = activeProvider(facts);
    return active && !usable.includes(active) ? [active, ...usable] : usable;
}

/** Return the languages that a published model knows, in words; empty for another model. */
export function languages(model, _) {
    if (/^parakeet-tdt-0\.6b-v3(-sherpa)?$/.test(model))
        return _('25 European languages, detected automatically');
    return /^(parakeet-tdt-0\.6b-v2(-sherpa)?|mini)$/.test(model) ? _('English') : '';
}

/** Return the model and what it runs on, on one line; empty if none is loaded. */
export function engine(facts, _) {
    if (!facts.ExecutionProvider)
        return '';
    const parts = [facts.Model, facts.Precision, provider(facts.ExecutionProvider, _)];
    return parts.filter(part => part).join(' · ');
}

/** Maximum length in characters of the text in the bubble: two lines. */
const LONGEST_TEXT = 140;

/** Return the end of a text that is too long for the bubble: its stable words, and the words after them that may change. */
export function ending(stable, unstable = '') {
    const letters = Array.from([stable, unstable].filter(text => text).join(' '));
    if (letters.length <= LONGEST_TEXT)
        return [stable, unstable];
    const rest = Array.from(unstable).length;
    const last = letters.slice(1 - LONGEST_TEXT);
    if (rest >= last.length)
        return ['', `…${last.join('')}`];
    const first = rest ? last.slice(0, -rest - 1) : last;
    return [`…${first.join('')}`, unstable];
}

/** Return how full a meter is, 0 to 1. */
export function meter(dbfs) {
    return Math.min(1, Math.max(0, (dbfs - SOFTEST) / (LOUDEST - SOFTEST)));
}

/**
 * Return the presentation of the daemon's state.
 *
 * `kind`: gone, unavailable, fetching, loading, idle, listening, transcribing or unknown.
 * `icon`: off, waiting, ready, muted, listening or writing; each desktop has its own images for them.
 * `degraded`: whether to warn. `title`, `detail`: for the user. `progress`: 0 to 1, or -1 for none.
 * `action`: label of the click action, empty if there is none.
 * `label`: a word or two beside the icon while the user has to wait, with the progress if it is known; otherwise empty.
 *
 * @param {object} facts properties of the daemon by their names, with `present`
 * @param {Function} _ translates
 */
export function present(facts, _) {
    const shown = (kind, icon, title, action, detail = '', degraded = false, progress = -1) =>
        ({kind, icon, title, action, detail, degraded, progress, label: waiting(kind, facts, progress, _)});
    const why = reason(facts.Degraded, _);
    const warned = facts.Degraded !== '';
    const muted = facts.Degraded === 'microphone-muted';
    if (!facts.present) {
        return shown('gone', 'off', _('Dictation is off'), _('Start dictating'),
            _('The service coldvoxd is not running.'));
    }
    switch (facts.State) {
    case 'unavailable':
        return unavailable(facts, why, shown, _);
    case 'loading':
        return shown('loading', 'waiting', _('Loading the speech model…'), _('Start dictating'),
            why || share(_('%d % loaded.'), facts.Progress), warned, facts.Progress);
    case 'idle':
        if (muted) {
            return shown('idle', 'muted', _('Microphone muted'), _('Start dictating'),
                _('Unmute the microphone in the sound settings.'), true);
        }
        return shown('idle', 'ready', _('Ready to listen'), _('Start dictating'), why, warned);
    case 'listening':
        return shown('listening', muted ? 'muted' : 'listening', _('Listening…'), _('Stop dictating'), why, warned);
    case 'transcribing':
        return shown('transcribing', 'writing', _('Recognizing…'), '', why, warned);
    case 'suspended':
        return shown('unavailable', 'off', _('Suspended'), '', why, warned);
    case '': // the name has an owner, but the properties have not arrived yet
        return shown('loading', 'waiting', _('Starting…'), '');
    }
    return shown('unknown', 'ready', facts.State, _('Start dictating'), why, warned);
}

function unavailable(facts, why, shown, _) {
    if (facts.Progress >= 0) {
        return shown('fetching', 'waiting', _('Downloading the speech model…'), '',
            share(_('%d % downloaded.'), facts.Progress), false, facts.Progress);
    }
    if (facts.Degraded === 'microphone-lost')
        return shown('unavailable', 'off', _('No microphone'), '', sentence(facts.Problem, why, _), true);
    const title = facts.Degraded === 'model-missing' ? _('No speech model') : _('Dictation is unavailable');
    return shown('unavailable', 'off', title, '', sentence(facts.LastError, why, _), true);
}

/** Return what is waited for, with the progress if it is known; empty for the other kinds. */
function waiting(kind, facts, progress, _) {
    if (kind === 'fetching')
        return share(_('Downloading %d %'), progress);
    if (kind !== 'loading' || !facts.State)
        return '';
    return share(_('Loading %d %'), progress) || _('Loading…');
}

/** Return `text` with the progress in place of `%d`, empty if it is not known. */
function share(text, progress) {
    return progress >= 0 ? text.replace('%d', Math.floor(progress * 100)) : '';
}

/** Return the daemon's message if it is short enough to be shown, otherwise the reason. */
function sentence(said, why, _) {
    if (!said)
        return why;
    if (said.includes('\n') || said.length > LONGEST)
        return [why, _('Run “coldvoxctl doctor” in a terminal: it reports how to fix this.')].filter(part => part).join(' ');
    return said[0].toUpperCase() + said.slice(1);
}
