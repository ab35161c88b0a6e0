// The indicator in the panel: an icon of the state, the level during listening, and a click.

import Clutter from 'gi://Clutter';
import GObject from 'gi://GObject';
import St from 'gi://St';

import * as PanelMenu from 'resource:///org/gnome/shell/ui/panelMenu.js';

import {Meter} from './meter.js';
import {meter} from './presentation.js';

const ICONS = {
    off: 'microphone-sensitivity-muted-symbolic',
    muted: 'microphone-disabled-symbolic',
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
        this._label = new St.Label({styleClass: 'coldvoxd-label', yAlign: Clutter.ActorAlign.CENTER, visible: false});
        this._meter = new Meter(BARS, {styleClass: 'coldvoxd-panel-meter', yAlign: Clutter.ActorAlign.CENTER, visible: false});
        const box = new St.BoxLayout({styleClass: 'panel-status-indicators-box'});
        for (const part of [this._icon, this._meter, this._label, this._warning])
            box.add_child(part);
        this.add_child(box);
        this._kind = '';
        this._takeClicks();
    }

    /** @param {object} shown from presentation.js */
    show_state(shown) {
        this._icon.iconName = ICONS[shown.icon];
        this._icon.opacity = shown.icon === 'off' ? 140 : 255;
        this._warning.visible = shown.degraded;
        this._meter.visible = shown.kind === 'listening';
        this._label.visible = shown.label !== '';
        this._label.text = shown.label;
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

    /** Take the clicks from the superclass, which toggles the menu: by a gesture since GNOME 50, before by an event. */
    _takeClicks() {
        const gestures = this.get_actions().filter(action => Clutter.ClickGesture && action instanceof Clutter.ClickGesture);
        if (!gestures.length) {
            this.connect('event', (button, event) => this._handled(event) ? Clutter.EVENT_STOP : Clutter.EVENT_PROPAGATE);
            return;
        }
        gestures.forEach(gesture => this.remove_action(gesture));
        const click = new Clutter.ClickGesture({recognizeOnPress: true});
        click.connect('recognize', () => {
            if (!this._handled(click.get_point_event(click.get_points()[0])))
                this.menu.toggle();
        });
        this.add_action(click);
    }

    /** Return whether an event was the click to start or stop: a touch opens the menu, because it has no second button. */
    _handled(event) {
        return event.type() === Clutter.EventType.BUTTON_PRESS && event.get_button() === Clutter.BUTTON_PRIMARY &&
            !this.menu.isOpen && this._click();
    }
});
