// The bubble above the windows during dictation: the voice level, and the text recognized so far.

import Clutter from 'gi://Clutter';
import GObject from 'gi://GObject';
import Pango from 'gi://Pango';
import St from 'gi://St';

import * as Layout from 'resource:///org/gnome/shell/ui/layout.js';

import {Meter} from './meter.js';
import {meter} from './presentation.js';

const BARS = 30;

export const Bubble = GObject.registerClass(
class ColdvoxBubble extends St.Widget {
    _init() {
        super._init({layoutManager: new Clutter.BinLayout(), reactive: false, visible: false});
        this.add_constraint(new Layout.MonitorConstraint({primary: true, workArea: true}));
        this._meter = new Meter(BARS, {styleClass: 'coldvoxd-bubble-meter', xAlign: Clutter.ActorAlign.CENTER});
        this._words = new St.Label({styleClass: 'coldvoxd-bubble-words', xAlign: Clutter.ActorAlign.CENTER});
        this._words.clutterText.set({
            lineWrap: true,
            ellipsize: Pango.EllipsizeMode.NONE,
            lineAlignment: Pango.Alignment.CENTER,
        });
        const box = new St.BoxLayout({
            styleClass: 'osd-window coldvoxd-bubble',
            xExpand: true, yExpand: true, xAlign: Clutter.ActorAlign.CENTER, yAlign: Clutter.ActorAlign.END,
        });
        box.layoutManager.orientation = Clutter.Orientation.VERTICAL;
        box.add_child(this._meter);
        box.add_child(this._words);
        this.add_child(box);
        this._heard = '';
        this._title = '';
    }

    /**
     * @param {object} shown from presentation.js
     * @param {boolean} wanted whether the user wants a bubble
     */
    show_state(shown, wanted) {
        const visible = wanted && (shown.kind === 'listening' || shown.kind === 'transcribing');
        if (visible && !this.visible)
            this.forget();
        this._meter.visible = shown.kind === 'listening';
        this._title = shown.degraded ? `${shown.title}\n${shown.detail}` : shown.title;
        this._write();
        this.visible = visible;
    }

    /** @param {number} dbfs argument of the signal Level */
    show_level(dbfs) {
        if (this.visible)
            this._meter.push(meter(dbfs));
    }

    /** @param {string} text the newest text; only its end is shown if it is long */
    show_text(text) {
        this._heard = text;
        this._write();
    }

    /** Clear the bubble for a new session. */
    forget() {
        this._heard = '';
        this._meter.clear();
        this._write();
    }

    _write() {
        this._words.text = ending(this._heard) || this._title;
    }
});

const LONGEST = 140; // characters: two lines

function ending(text) {
    const letters = [...text];
    return letters.length > LONGEST ? `…${letters.slice(1 - LONGEST).join('')}` : text;
}
