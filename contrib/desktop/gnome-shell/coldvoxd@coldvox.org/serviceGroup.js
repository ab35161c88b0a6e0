// The preferences' group about the service: model, language and typing as they are now, and the settings file.

import Adw from 'gi://Adw';
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import GObject from 'gi://GObject';
import Gtk from 'gi://Gtk';

import {Daemon} from './daemon.js';
import {engine, languages, present} from './presentation.js';
import {typingState, typingWords} from './typing.js';

const SERVICE_FILE = ['coldvoxd', 'coldvoxd.toml'];

export const ServiceGroup = GObject.registerClass(
class ColdvoxServiceGroup extends Adw.PreferencesGroup {
    constructor(window, _) {
        super({
            title: _('The service'),
            description: _('The model, the microphone and everything else are set in the service’s own settings file.'),
        });
        this._ = _;
        this._model = row(_('Model'));
        this._language = row(_('Language'));
        this._typing = row(_('Typing'));
        for (const one of [this._model, this._language, this._typing, settingsFile(window, _)])
            this.add(one);
        this._daemon = new Daemon({changed: facts => this._show(facts)});
        this._show(this._daemon.facts);
        const active = window.connect('notify::is-active', () => this._showTyping());
        window.connect('close-request', () => {
            window.disconnect(active);
            this._daemon.destroy();
            this._daemon = null;
            return false;
        });
    }

    _show(facts) {
        const shown = present(facts, this._);
        this._model.subtitle = engine(facts, this._) || shown.detail || shown.title;
        this._language.subtitle = languages(facts.Model, this._);
        this._language.visible = this._language.subtitle !== '';
        this._showTyping();
    }

    async _showTyping() {
        const state = await typingState();
        if (this._daemon) // otherwise the window was closed meanwhile
            this._typing.subtitle = typingWords(state, this._);
    }
});

/** A row of plain text that can be selected and copied. */
function row(title) {
    return new Adw.ActionRow({title, useMarkup: false, subtitleSelectable: true});
}

function settingsFile(window, _) {
    const path = GLib.build_filenamev([GLib.get_user_config_dir(), ...SERVICE_FILE]);
    const one = new Adw.ActionRow({title: _('Settings file'), subtitle: path});
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
    one.add_suffix(open);
    return one;
}
