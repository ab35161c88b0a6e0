// Calls functions of the Plasma widget's modules: standard input has a JSON array of [MODULE, FUNCTION, ARGUMENTS]; prints one JSON
// line for each result. A translator is appended to the arguments.
//
//     gjs -m widget.js FOLDER-OF-MODULES

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import {programArgs} from 'system';

const here = GLib.filename_to_uri(programArgs[0], null);
const _ = text => text;

const input = new Gio.UnixInputStream({fd: 0, closeFd: false});
const [text] = Gio.DataInputStream.new(input).read_upto('\0', 1, null);
for (const [module, name, values] of JSON.parse(text)) {
    const functions = await import(`${here}/${module}.mjs`);
    print(JSON.stringify(functions[name](...values, _)));
}
