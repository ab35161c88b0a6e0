// The indicator in the panel: an icon of the state, the level during listening, and a click.

import Clutter from 'gi://Clutter';
import GObject from 'gi://GObject';
import St from 'gi://St';

import * as PanelMenu from 'resource:///org/gnome/shell/ui/panelMenu.js';

import {Meter} from './meter.js';
import {meter} from './presentation.js';

const ICONS = {
    off: 'microphone-sensitivity-muted-symbolic',
    waiting: 'content-loading-symbolic',
    ready: 'audio-input-microphone-symbolic',
    listening: 'audio-input-microphone-symbolic',
    writing: 'document-edit-symbolic',
};
const BARS = 9;

export const Indicator = GObject.registerClass(
class ColdvoxIndicator extends PanelMenu.Button {
    /**
     * @param {string} name for assistive technology
     * @param {Function} click called on a click; returns whether it handled the click, so that no menu opens
     */
    _init(name, click) {
        super._init(0.5, name);
        this._click = click;
        this._icon = new St.Icon({styleClass: 'system-status-icon'});
        this._warning = new St.Icon({
            styleClass: 'system-status-icon coldvoxd-warning',
            iconName: 'dialog-warning-symbolic',
            visible: false,
        });
        this._progress = new St.Label({styleClass: 'coldvoxd-progress', yAlign: Clutter.ActorAlign.CENTER, visible: false});
        this._meter = new Meter(BARS, {styleClass: 'coldvoxd-panel-meter', yAlign: Clutter.ActorAlign.CENTER, visible: false});
        const box = new St.BoxLayout({styleClass: 'panel-status-indicators-box'});
        for (const part of [this._icon, this._meter, this._progress, this._warning])
            box.add_child(part);
        this.add_child(box);
        this._kind = '';
    }

    /** @param {object} shown from presentation.js */
    show_state(shown) {
        this._icon.iconName = ICONS[shown.icon];
        this._icon.opacity = shown.icon === 'off' ? 140 : 255;
        this._warning.visible = shown.degraded;
        this._meter.visible = shown.kind === 'listening';
        this._progress.visible = shown.progress >= 0;
        this._progress.text = `${Math.floor(Math.max(0, shown.progress) * 100)} %`;
        this.accessibleName = [shown.title, shown.detail].filter(part => part).join(' ');
        if (shown.kind !== this._kind) {
            if (this._kind)
                this.remove_style_class_name(`coldvoxd-${this._kind}`);
            this.add_style_class_name(`coldvoxd-${shown.kind}`);
            this._meter.clear();
            this._kind = shown.kind;
        }
    }

    /** @param {number} dbfs argument of the signal Level */
    show_level(dbfs) {
        this._meter.push(meter(dbfs));
    }

    vfunc_event(event) {
        const primary = event.type() === Clutter.EventType.BUTTON_PRESS &&
            event.get_button() === Clutter.BUTTON_PRIMARY;
        if (primary && !this.menu.isOpen && this._click())
            return Clutter.EVENT_STOP;
        return super.vfunc_event(event);
    }
});
