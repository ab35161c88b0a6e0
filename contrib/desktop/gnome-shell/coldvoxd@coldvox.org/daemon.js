// The daemon on the bus: keeps a copy of its properties, forwards its signals, calls its methods.
//
// Uses GLib and Gio only, so that gjs can run it outside the shell. Everything is asynchronous. Only the user's wish to dictate
// starts a daemon that isn't running.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';

import {NOTHING} from './presentation.js';

const NAME = 'org.coldvox.Daemon1';
const PATH = '/org/coldvox/Daemon1';
const DICTATION = 'org.coldvox.Dictation1';
const ENGINE = 'org.coldvox.Engine1';
const MICROPHONE = 'org.coldvox.Microphone1';
const PROPERTIES = 'org.freedesktop.DBus.Properties';
const UNIT = 'coldvoxd.service';


export class Daemon {
    /**
     * @param {object} listener has any of the functions `changed(facts)`, `level(dbfs)`, `speaking(yes)`,
     *   `partial(stable, unstable)`, `transcribed(text)`, `started()`
     * @param {Gio.DBusConnection} bus the session bus
     */
    constructor(listener, bus = Gio.DBus.session) {
        this.facts = NOTHING;
        this._listener = listener;
        this._bus = bus;
        this._subscriptions = [];
        this._loading = null;
        this._calls = new Gio.Cancellable();
        this._watch = Gio.bus_watch_name_on_connection(bus, NAME, Gio.BusNameWatcherFlags.NONE,
            (connection, name, owner) => this._appeared(owner), () => this._vanished());
    }

    /** Forget the daemon; the listener is not called any more. */
    destroy() {
        Gio.bus_unwatch_name(this._watch);
        this._forget();
        this._calls.cancel();
        this._listener = {};
    }

    /**
     * Start a session, or stop the running one. Rejects with the daemon's error.
     *
     * @param {boolean} partials whether to request text during speech, if the daemon supports it
     */
    toggle(partials = false) {
        if (!partials || !this.facts.Capabilities.includes('partials'))
            return this._call(DICTATION, 'ToggleDictation', null, true);
        const options = new GLib.Variant('(a{sv})', [{partials: new GLib.Variant('b', true)}]);
        return this._call(DICTATION, 'ToggleDictationWithOptions', options, true);
    }

    /** Discard the session. */
    cancel() {
        return this._call(DICTATION, 'CancelDictation');
    }

    /** @param {string} name from Devices, or `default` */
    selectDevice(name) {
        return this._call(MICROPHONE, 'SelectDevice', new GLib.Variant('(s)', [name]));
    }

    /** @param {string} name from AvailableProviders, or `auto` */
    setProvider(name) {
        return this._call(ENGINE, 'SetProvider', new GLib.Variant('(s)', [name]));
    }

    /** Make systemd restart the service. */
    restart() {
        return this._ask('org.freedesktop.systemd1', '/org/freedesktop/systemd1', 'org.freedesktop.systemd1.Manager',
            'RestartUnit', new GLib.Variant('(ss)', [UNIT, 'replace']));
    }

    _appeared(owner) {
        this._forget();
        const subscribe = (iface, member, callback) => this._subscriptions.push(this._bus.signal_subscribe(
            owner, iface, member, PATH, null, Gio.DBusSignalFlags.NONE,
            (bus, sender, path, ofInterface, ofMember, values) => callback(...values.recursiveUnpack())));
        const published = new Set();
        subscribe(PROPERTIES, 'PropertiesChanged', (iface, changed) => {
            Object.keys(changed).forEach(name => published.add(name));
            this._learn(changed);
        });
        subscribe(DICTATION, 'Level', dbfs => this._listener.level?.(dbfs));
        subscribe(DICTATION, 'SpeechStarted', () => this._listener.speaking?.(true));
        subscribe(DICTATION, 'SpeechEnded', () => this._listener.speaking?.(false));
        subscribe(DICTATION, 'PartialTranscribed',
            (session, utterance, stable, unstable) => this._listener.partial?.(stable, unstable));
        subscribe(DICTATION, 'Transcribed', (session, utterance, text) => this._listener.transcribed?.(text));
        subscribe(DICTATION, 'DictationStarted', () => this._listener.started?.());
        this._loading = new Gio.Cancellable();
        this._learn({present: true});
        for (const iface of [DICTATION, ENGINE, MICROPHONE])
            this._load(owner, iface, this._loading, published);
    }

    /** Read an interface's properties; a value in `published`, by a signal, is newer than one in a late reply. */
    async _load(owner, iface, cancellable, published) {
        try {
            const values = await this._ask(owner, PATH, PROPERTIES, 'GetAll', new GLib.Variant('(s)', [iface]),
                {cancellable});
            const read = Object.entries(values.recursiveUnpack()[0]);
            this._learn(Object.fromEntries(read.filter(([name]) => !published.has(name))));
        } catch (error) {
            if (!cancellable.is_cancelled())
                console.warn(`coldvoxd: ${iface} can't be read: ${error.message}`);
        }
    }

    _vanished() {
        this._forget();
        this._listener.changed?.(this.facts);
    }

    _forget() {
        this._loading?.cancel();
        this._loading = null;
        for (const subscription of this._subscriptions)
            this._bus.signal_unsubscribe(subscription);
        this._subscriptions = [];
        this.facts = NOTHING;
    }

    _learn(changed) {
        this.facts = Object.freeze({...this.facts, ...changed});
        this._listener.changed?.(this.facts);
    }

    _call(iface, member, parameters = null, start = false) {
        return this._ask(NAME, PATH, iface, member, parameters, {start});
    }

    _ask(name, path, iface, member, parameters, {cancellable = this._calls, start = false} = {}) {
        const flags = start ? Gio.DBusCallFlags.NONE : Gio.DBusCallFlags.NO_AUTO_START;
        return new Promise((resolve, reject) => {
            this._bus.call(name, path, iface, member, parameters, null, flags, -1, cancellable, (bus, result) => {
                try {
                    resolve(bus.call_finish(result));
                } catch (error) {
                    reject(error);
                }
            });
        });
    }
}

/**
 * Return the reason why a call failed, as a sentence for the user; empty if the call was cancelled.
 *
 * @param {Error} error of a call
 * @param {Function} _ translates
 */
export function sentence(error, _) {
    if (error.matches?.(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED))
        return '';
    const gone = [Gio.DBusError.SERVICE_UNKNOWN, Gio.DBusError.NAME_HAS_NO_OWNER]
        .some(code => error.matches?.(Gio.DBusError, code));
    if (gone && error.message.includes(NAME))
        return _('The service coldvoxd is not installed for this user.');
    Gio.DBusError.strip_remote_error(error);
    return error.message;
}
