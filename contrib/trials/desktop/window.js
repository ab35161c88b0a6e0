// A window to write into, for desktop-check: writes its text to the given file after each change.
//
//     gjs -m window.js FILE [--listen]
//
// With --listen it inserts the daemon's published texts; otherwise text must be typed or pasted.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Gtk from 'gi://Gtk?version=4.0';
import {programArgs} from 'system';

const keep = text => GLib.file_set_contents(programArgs[0], text);
const application = new Gtk.Application({applicationId: 'org.coldvox.Letter', flags: Gio.ApplicationFlags.NON_UNIQUE});

application.connect('activate', () => {
    const view = new Gtk.TextView({
        wrapMode: Gtk.WrapMode.WORD, leftMargin: 16, rightMargin: 16, topMargin: 16, bottomMargin: 16,
    });
    view.buffer.connect('changed', () => keep(view.buffer.text));
    const window = new Gtk.ApplicationWindow({
        application, title: 'Letter', defaultWidth: 480, defaultHeight: 240, child: view,
    });
    window.present();
    view.grab_focus();
    if (programArgs.includes('--listen')) {
        Gio.DBus.session.signal_subscribe('org.coldvox.Daemon1', 'org.coldvox.Dictation1', 'Transcribed', null, null,
            Gio.DBusSignalFlags.NONE, (bus, sender, path, iface, member, values) => {
                const [, , text] = values.recursiveUnpack();
                view.buffer.insert_at_cursor(`${text} `, -1);
            });
    }
    keep('');
});
application.run(null);
