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
    group.add(new ShortcutRow(settings, 'toggle-dictation', _('Key that starts and stops'), window, _));
    group.add(toggle(settings, 'click-toggles', _('A click on the indicator starts and stops'),
        _('The other button opens the menu. Off, both do.')));
    return group;
}

function bubble(settings, _) {
    const group = new Adw.PreferencesGroup({title: _('Bubble')});
    group.add(toggle(settings, 'show-bubble', _('Show a bubble while dictating'), _('With the level of your voice.')));
    const words = toggle(settings, 'show-text', _('Show what is understood'),
        _('Whoever looks at your screen can read it.'));
    settings.bind('show-bubble', words, 'sensitive', Gio.SettingsBindFlags.GET);
    group.add(words);
    return group;
}

function service(window, _) {
    const group = new Adw.PreferencesGroup({
        title: _('The service'),
        description: _('Model, microphone and everything else are settings of the service itself.'),
    });
    const path = GLib.build_filenamev([GLib.get_user_config_dir(), ...SERVICE_FILE]);
    const row = new Adw.ActionRow({title: _('Settings file'), subtitle: path});
    const open = new Gtk.Button({label: _('Open'), valign: Gtk.Align.CENTER});
    open.connect('clicked', () => {
        new Gtk.FileLauncher({file: Gio.File.new_for_path(path)}).launch(window, null, (launcher, result) => {
            try {
                launcher.launch_finish(result);
            } catch (error) {
                window.add_toast(new Adw.Toast({title: _('There is no settings file yet, or nothing to open it with.')}));
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
