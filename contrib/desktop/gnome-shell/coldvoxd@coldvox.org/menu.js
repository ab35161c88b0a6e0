// The indicator's menu: the state in words; start and stop; microphone, provider, model; settings and restart.

import Clutter from 'gi://Clutter';
import St from 'gi://St';

import * as PopupMenu from 'resource:///org/gnome/shell/ui/popupMenu.js';

import {activeProvider, engine, offeredProviders, provider} from './presentation.js';

export class Menu {
    /**
     * @param {PopupMenu.PopupMenu} menu of the indicator
     * @param {object} wishes functions `toggle`, `cancel`, `selectDevice(name)`, `setProvider(name)`, `settings`, `restart`
     * @param {Function} _ translates
     */
    constructor(menu, wishes, _) {
        this._ = _;
        this._wishes = wishes;
        this._title = new St.Label({styleClass: 'coldvoxd-title'});
        this._detail = new St.Label({styleClass: 'coldvoxd-detail'});
        this._detail.clutterText.lineWrap = true;
        this._engine = new St.Label({styleClass: 'coldvoxd-detail'});
        menu.addMenuItem(lines(this._title, this._detail, this._engine));
        menu.addMenuItem(new PopupMenu.PopupSeparatorMenuItem());
        this._toggle = menu.addAction('', wishes.toggle);
        this._cancel = menu.addAction(_('Stop and discard'), wishes.cancel);
        menu.addMenuItem(new PopupMenu.PopupSeparatorMenuItem());
        this._microphones = new PopupMenu.PopupSubMenuMenuItem('', true);
        this._microphones.icon.iconName = 'audio-input-microphone-symbolic';
        menu.addMenuItem(this._microphones);
        this._providers = new PopupMenu.PopupSubMenuMenuItem('', true);
        this._providers.icon.iconName = 'system-run-symbolic';
        menu.addMenuItem(this._providers);
        menu.addMenuItem(new PopupMenu.PopupSeparatorMenuItem());
        menu.addAction(_('Settings'), wishes.settings);
        menu.addAction(_('Restart the service'), wishes.restart);
        this._choices = '';
    }

    /**
     * @param {object} shown from presentation.js
     * @param {object} facts of the daemon
     */
    show(shown, facts) {
        const _ = this._;
        this._title.text = shown.title;
        setText(this._detail, shown.detail);
        setText(this._engine, engine(facts, _));
        this._toggle.label.text = shown.action;
        this._toggle.visible = shown.action !== '';
        this._cancel.visible = shown.kind === 'listening';
        this._microphones.visible = facts.present;
        this._microphones.label.text = facts.Device || _('No microphone');
        const active = activeProvider(facts);
        const offered = offeredProviders(facts);
        this._providers.visible = active !== '';
        this._providers.label.text = provider(active, _);
        const choices = JSON.stringify([facts.Devices, facts.Selection, offered, active]);
        if (choices !== this._choices) {
            this._choices = choices;
            this._offerMicrophones(facts);
            this._offerProviders(offered, active);
        }
    }

    _offerMicrophones(facts) {
        const {menu} = this._microphones;
        menu.removeAll();
        offer(menu, this._('The desktop’s default'), facts.Selection === 'default',
            () => this._wishes.selectDevice('default'));
        for (const [name, description] of facts.Devices) {
            offer(menu, description, facts.Selection === name || facts.Selection === description,
                () => this._wishes.selectDevice(name));
        }
    }

    _offerProviders(offered, active) {
        const {menu} = this._providers;
        menu.removeAll();
        offer(menu, provider('auto', this._), false, () => this._wishes.setProvider('auto'));
        for (const name of offered)
            offer(menu, provider(name, this._), name === active, () => this._wishes.setProvider(name));
    }
}

function lines(...labels) {
    const section = new PopupMenu.PopupMenuSection();
    const box = new St.BoxLayout({xExpand: true, styleClass: 'coldvoxd-lines'});
    box.layoutManager.orientation = Clutter.Orientation.VERTICAL;
    labels.forEach(label => box.add_child(label));
    section.box.add_child(box);
    return section;
}

function setText(label, text) {
    label.text = text;
    label.visible = text !== '';
}

function offer(menu, text, chosen, activate) {
    menu.addAction(text, activate).setOrnament(chosen ? PopupMenu.Ornament.DOT : PopupMenu.Ornament.NONE);
}
