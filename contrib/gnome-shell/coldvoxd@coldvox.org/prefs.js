// The preferences window.

import Adw from 'gi://Adw';
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Gtk from 'gi://Gtk';

import {ExtensionPreferences} from 'resource:///org/gnome/Shell/Extensions/js/extensions/prefs.js';

import {ShortcutRow} from './shortcutRow.js';

const SERVICE_FILE = ['coldvoxd', 'coldvoxd.toml'];

export default class ColdvoxPreferences extends ExtensionPreferences {
    async fillPreferencesWindow(window) {
        const _ = this.gettext.bind(this);
        const settings = this.getSettings();
        const page = new Adw.PreferencesPage();
        page.add(dictating(settings, window, _));
        page.add(bubble(settings, _));
        page.add(service(window, _));
        window.add(page);
        window.set_default_size(560, 560);
    }
}

function dictating(settings, window, _) {
    const group = new Adw.PreferencesGroup({title: _('Dictating')});
    group.add(new ShortcutRow(settings, 'toggle-dictation', _('Shortcut to start and stop'), window, _));
    group.add(toggle(settings, 'click-toggles', _('Click the indicator to start and stop'),
        _('The other mouse button opens the menu. If off, both buttons open it.')));
    return group;
}

function bubble(settings, _) {
    const group = new Adw.PreferencesGroup({title: _('Bubble')});
    group.add(toggle(settings, 'show-bubble', _('Show a bubble while dictating'), _('With the level of your voice.')));
    const words = toggle(settings, 'show-text', _('Show the recognized text'),
        _('Anyone who can see your screen can read it.'));
    settings.bind('show-bubble', words, 'sensitive', Gio.SettingsBindFlags.GET);
    group.add(words);
    return group;
}

function service(window, _) {
    const group = new Adw.PreferencesGroup({
        title: _('The service'),
        description: _('The model, the microphone and everything else are set in the service’s own settings file.'),
    });
    const path = GLib.build_filenamev([GLib.get_user_config_dir(), ...SERVICE_FILE]);
    const row = new Adw.ActionRow({title: _('Settings file'), subtitle: path});
    const open = new Gtk.Button({label: _('Open'), valign: Gtk.Align.CENTER});
    open.connect('clicked', () => {
        new Gtk.FileLauncher({file: Gio.File.new_for_path(path)}).launch(window, null, (launcher, result) => {
            try {
                launcher.launch_finish(result);
            } catch (error) {
                window.add_toast(new Adw.Toast({title: _('There is no settings file yet, or no application to open it.')}));
            }
        });
    });
    row.add_suffix(open);
    group.add(row);
    return group;
}

function toggle(settings, key, title, subtitle) {
    const row = new Adw.SwitchRow({title, subtitle});
    settings.bind(key, row, 'active', Gio.SettingsBindFlags.DEFAULT);
    return row;
}
