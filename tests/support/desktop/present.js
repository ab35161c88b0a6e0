// Presents the facts on standard input, a JSON array, by presentation.js: prints one JSON line for each.
//
//     gjs -m present.js FOLDER-OF-PRESENTATION

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import {programArgs} from 'system';

const here = GLib.filename_to_uri(programArgs[0], null);
const {NOTHING, activeProvider, engine, languages, meter, offeredProviders, present} = await import(`${here}/presentation.js`);
const _ = text => text;

const input = new Gio.UnixInputStream({fd: 0, closeFd: false});
const [text] = Gio.DataInputStream.new(input).read_upto('\0', 1, null);
for (const facts of JSON.parse(text)) {
    const all = {...NOTHING, ...facts};
    print(JSON.stringify({
        ...present(all, _),
        engine: engine(all, _),
        languages: languages(all.Model, _),
        providers: offeredProviders(all),
        provider: activeProvider(all),
        meter: meter(facts.level ?? -100),
    }));
}
