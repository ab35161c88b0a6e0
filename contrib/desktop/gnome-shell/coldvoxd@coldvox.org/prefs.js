// The preferences window.

import Adw from 'gi://Adw';
import Gio from 'gi://Gio';

import {ExtensionPreferences} from 'resource:///org/gnome/Shell/Extensions/js/extensions/prefs.js';

import {ServiceGroup} from './serviceGroup.js';
import {ShortcutRow} from './shortcutRow.js';

export default class ColdvoxPreferences extends ExtensionPreferences {
    async fillPreferencesWindow(window) {
        const _ = this.gettext.bind(this);
        const settings = this.getSettings();
        const page = new Adw.PreferencesPage();
        page.add(new ServiceGroup(window, _));
        page.add(dictating(settings, window, _));
        page.add(bubble(settings, _));
        window.add(page);
        window.set_default_size(560, 720);
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

function toggle(settings, key, title, subtitle) {
    const row = new Adw.SwitchRow({title, subtitle});
    settings.bind(key, row, 'active', Gio.SettingsBindFlags.DEFAULT);
    return row;
}
