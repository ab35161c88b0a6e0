#!/usr/bin/env -S gjs -m
// Prints all dictated texts, whichever program started the session, and reports when the daemon starts and ends. Never starts
// the daemon.
//
//     gjs -m dictate.js        (needs gjs: Debian's package of that name)
//
// Ctrl-C ends it.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import {exit} from 'system';

const NAME = 'org.coldvox.Daemon1';
const heard = new Set();

let session;
try {
    session = Gio.bus_get_sync(Gio.BusType.SESSION, null);
} catch (error) {
    printerr(`There is no session bus: ${error.message}`);
    exit(1);
}
session.signal_subscribe(NAME, 'org.coldvox.Dictation1', 'Transcribed', '/org/coldvox/Daemon1', null,
    Gio.DBusSignalFlags.NONE, (bus, sender, path, iface, member, values) => {
        const [session, utterance, text] = values.recursiveUnpack();
        const pair = `${session}/${utterance}`; // after a crash of the daemon a text may be repeated
        if (!heard.has(pair))
            print(text);
        heard.add(pair);
    });
Gio.bus_watch_name(Gio.BusType.SESSION, NAME, Gio.BusNameWatcherFlags.NONE,
    () => printerr('coldvoxd is here'), () => printerr('coldvoxd is not here'));
new GLib.MainLoop(null, false).run();
