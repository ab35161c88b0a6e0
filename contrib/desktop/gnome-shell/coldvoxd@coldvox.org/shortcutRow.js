// A preferences row that shows a key combination and lets the user press another.

import Adw from 'gi://Adw';
import Gdk from 'gi://Gdk';
import GObject from 'gi://GObject';
import Gtk from 'gi://Gtk';

const MODIFIERS = Gdk.ModifierType.CONTROL_MASK | Gdk.ModifierType.ALT_MASK | Gdk.ModifierType.SUPER_MASK;

export const ShortcutRow = GObject.registerClass(
class ColdvoxShortcutRow extends Adw.ActionRow {
    constructor(settings, key, title, window, _) {
        super({title, activatable: true});
        this._settings = settings;
        this._key = key;
        this._window = window;
        this._ = _;
        this._label = new Gtk.ShortcutLabel({disabledText: _('None'), valign: Gtk.Align.CENTER});
        this.add_suffix(this._label);
        const changed = settings.connect(`changed::${key}`, () => this._show());
        this.connect('destroy', () => settings.disconnect(changed));
        this.connect('activated', () => this._ask());
        this._show();
    }

    _show() {
        this._label.accelerator = this._settings.get_strv(this._key)[0] ?? '';
    }

    _ask() {
        const _ = this._;
        const page = new Adw.StatusPage({
            iconName: 'preferences-desktop-keyboard-shortcuts-symbolic',
            title: _('Press the new shortcut'),
            description: _('Escape cancels, Backspace removes the shortcut.'),
        });
        const dialog = new Adw.Window({
            transientFor: this._window, modal: true, hideOnClose: false,
            defaultWidth: 420, defaultHeight: 300, content: page,
        });
        const keys = new Gtk.EventControllerKey();
        keys.connect('key-pressed', (controller, keyval, keycode, state) => {
            if (this._take(keyval, state & MODIFIERS | state & Gdk.ModifierType.SHIFT_MASK))
                dialog.close();
            return Gdk.EVENT_STOP;
        });
        dialog.add_controller(keys);
        dialog.present();
    }

    /** Return whether the key was an answer: a modifier alone is not. */
    _take(keyval, state) {
        if (keyval === Gdk.KEY_Escape && !state)
            return true;
        if (keyval === Gdk.KEY_BackSpace && !state) {
            this._settings.set_strv(this._key, []);
            return true;
        }
        const lower = Gdk.keyval_to_lower(keyval);
        const alone = lower >= Gdk.KEY_F1 && lower <= Gdk.KEY_F35;
        if (!Gtk.accelerator_valid(lower, state) || !(state & MODIFIERS || alone))
            return false;
        this._settings.set_strv(this._key, [Gtk.accelerator_name(lower, state)]);
        return true;
    }
});
