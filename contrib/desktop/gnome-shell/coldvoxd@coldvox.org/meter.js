// A meter of the voice level: bars that move from right to left during speech.

import GObject from 'gi://GObject';
import St from 'gi://St';

const GAP = 0.45; // share of a bar's width

export const Meter = GObject.registerClass(
class ColdvoxMeter extends St.DrawingArea {
    _init(bars, params) {
        super._init(params);
        this._levels = new Array(bars).fill(0);
    }

    /** @param {number} level 0 to 1 */
    push(level) {
        this._levels.push(level);
        this._levels.shift();
        this.queue_repaint();
    }

    clear() {
        this._levels.fill(0);
        this.queue_repaint();
    }

    vfunc_repaint() {
        const [width, height] = this.get_surface_size();
        const {red, green, blue, alpha} = this.get_theme_node().get_foreground_color();
        const cr = this.get_context();
        const step = width / this._levels.length;
        const bar = step / (1 + GAP);
        cr.setSourceRGBA(red / 255, green / 255, blue / 255, alpha / 255);
        cr.setLineWidth(bar);
        cr.setLineCap(1); // round
        this._levels.forEach((level, at) => {
            const tall = Math.max(0, height - bar) * level / 2;
            const x = step * (at + 0.5);
            cr.moveTo(x, height / 2 - tall);
            cr.lineTo(x, height / 2 + tall);
        });
        cr.stroke();
        cr.$dispose();
    }
});
