// Connects the parts while the extension is enabled, and removes all of them when it is disabled.

import Meta from 'gi://Meta';
import Shell from 'gi://Shell';

import {Extension} from 'resource:///org/gnome/shell/extensions/extension.js';
import * as Main from 'resource:///org/gnome/shell/ui/main.js';

import {Bubble} from './bubble.js';
import {Daemon, sentence} from './daemon.js';
import {Indicator} from './indicator.js';
import {Menu} from './menu.js';
import {present} from './presentation.js';

const SHORTCUT = 'toggle-dictation';

export default class ColdvoxExtension extends Extension {
    enable() {
        this._ = this.gettext.bind(this);
        this._settings = this.getSettings();
        this._bubble = new Bubble();
        Main.layoutManager.uiGroup.add_child(this._bubble); // no chrome, which would take clicks on X11
        this._indicator = new Indicator(this._('Dictation'), () => this._clicked());
        this._menu = new Menu(this._indicator.menu, this._wishes(), this._);
        Main.panel.addToStatusArea(this.uuid, this._indicator);
        this._daemon = new Daemon({
            changed: () => this._show(),
            level: dbfs => {
                this._indicator.show_level(dbfs);
                this._bubble.show_level(dbfs);
            },
            started: () => this._bubble.forget(),
            partial: (stable, unstable) => this._heard(stable, unstable),
            transcribed: text => this._heard(text),
        });
        this._settings.connectObject('changed::show-bubble', () => this._show(), this);
        Main.wm.addKeybinding(SHORTCUT, this._settings, Meta.KeyBindingFlags.IGNORE_AUTOREPEAT,
            Shell.ActionMode.NORMAL | Shell.ActionMode.OVERVIEW | Shell.ActionMode.POPUP, () => this._toggle());
        this._show();
    }

    disable() {
        Main.wm.removeKeybinding(SHORTCUT);
        this._settings.disconnectObject(this);
        this._daemon.destroy();
        this._daemon = null;
        this._menu = null;
        this._indicator.destroy();
        this._indicator = null;
        this._bubble.destroy();
        this._bubble = null;
        this._settings = null;
        this._ = null;
    }

    _show() {
        const {facts} = this._daemon;
        const shown = present(facts, this._);
        this._indicator.show_state(shown);
        this._menu.show(shown, facts);
        this._bubble.show_state(shown, this._settings.get_boolean('show-bubble'));
    }

    _heard(text, unstable = '') {
        if (this._settings.get_boolean('show-text'))
            this._bubble.show_text(text, unstable);
    }

    _clicked() {
        if (!this._settings.get_boolean('click-toggles') || !present(this._daemon.facts, this._).action)
            return false;
        this._toggle();
        return true;
    }

    _toggle() {
        this._wish(this._daemon.toggle(this._settings.get_boolean('show-text')));
    }

    _wishes() {
        return {
            toggle: () => this._toggle(),
            cancel: () => this._wish(this._daemon.cancel()),
            selectDevice: name => this._wish(this._daemon.selectDevice(name)),
            setProvider: name => this._wish(this._daemon.setProvider(name)),
            restart: () => this._wish(this._daemon.restart()),
            settings: () => this.openPreferences(),
        };
    }

    async _wish(call) {
        try {
            await call;
        } catch (error) {
            const text = this._ ? sentence(error, this._) : '';
            if (text)
                Main.notify(this._('Dictation'), text);
        }
    }
}
