// The bubble above the windows during dictation: the voice level, and the text recognized so far.

import Clutter from 'gi://Clutter';
import GLib from 'gi://GLib';
import GObject from 'gi://GObject';
import Pango from 'gi://Pango';
import St from 'gi://St';

import * as Layout from 'resource:///org/gnome/shell/ui/layout.js';

import {Meter} from './meter.js';
import {ending, meter} from './presentation.js';

const BARS = 30;
const UNSTABLE = '65%'; // opacity of words that may still change

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
        this._heard = ['', ''];
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

    /**
     * Show the newest text; only its end if it is long.
     *
     * @param {string} text words that do not change any more
     * @param {string} unstable words after them that may
     */
    show_text(text, unstable = '') {
        this._heard = [text, unstable];
        this._write();
    }

    /** Clear the bubble for a new session. */
    forget() {
        this._heard = ['', ''];
        this._meter.clear();
        this._write();
    }

    _write() {
        const [stable, unstable] = ending(...this._heard).map(text => GLib.markup_escape_text(text, -1));
        const dimmed = unstable && `<span alpha="${UNSTABLE}">${unstable}</span>`;
        this._words.clutterText.set_markup(
            [stable, dimmed].filter(text => text).join(' ') || GLib.markup_escape_text(this._title, -1));
    }
});
