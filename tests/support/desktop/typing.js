// Prints what the preferences show about typing.
//
//     gjs typing.js FOLDER-OF-EXTENSION
//
// A script, not a module: before gjs 1.76 a main loop run by a module blocks all promises.
/* global imports, ARGV */

const {GLib} = imports.gi;

const here = GLib.filename_to_uri(ARGV[0], null);
const loop = new GLib.MainLoop(null, false);

async function show() {
    const {typingState, typingWords} = await import(`${here}/typing.js`);
    print(typingWords(await typingState(), text => text));
}

show().catch(printerr).finally(() => loop.quit());
loop.run();
