// The state of coldvox-type.service, as systemd's user manager on the session bus reports it.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';

const NAME = 'org.freedesktop.systemd1';
const PATH = '/org/freedesktop/systemd1';
const UNIT = 'coldvox-type.service';

/**
 * Return whether texts are typed into the focused window: on, off, failed, missing, or unknown without systemd.
 *
 * @param {Gio.DBusConnection} bus the session bus
 */
export async function typingState(bus = Gio.DBus.session) {
    try {
        const [unit] = await call(bus, PATH, `${NAME}.Manager`, 'LoadUnit', new GLib.Variant('(s)', [UNIT]));
        const [{LoadState, ActiveState}] = await call(bus, unit, 'org.freedesktop.DBus.Properties', 'GetAll',
            new GLib.Variant('(s)', [`${NAME}.Unit`]));
        if (LoadState === 'not-found')
            return 'missing';
        if (ActiveState === 'failed')
            return 'failed';
        return ActiveState === 'inactive' ? 'off' : 'on';
    } catch (error) {
        console.debug(`coldvoxd: the state of ${UNIT} can't be read: ${error.message}`);
        return 'unknown';
    }
}

function call(bus, path, iface, member, parameters) {
    return new Promise((resolve, reject) => {
        bus.call(NAME, path, iface, member, parameters, null, Gio.DBusCallFlags.NO_AUTO_START, -1, null, (_, result) => {
            try {
                resolve(bus.call_finish(result).recursiveUnpack());
            } catch (error) {
                reject(error);
            }
        });
    });
}

/**
 * Return a state of typing in words.
 *
 * @param {string} state of `typingState`
 * @param {Function} _ translates
 */
export function typingWords(state, _) {
    switch (state) {
    case 'on':
        return _('On: the text is typed into the focused window.');
    case 'off':
        return _('Off. To turn it on, run “coldvoxctl setup --typing” in a terminal.');
    case 'failed':
        return _('It failed. “journalctl --user -u coldvox-type” shows the reason.');
    case 'missing':
        return _('Not installed. To install it, run “coldvoxctl setup --typing” in a terminal.');
    }
    return _('Unknown: systemd does not respond.');
}
