// The extension's view of a daemon: prints one JSON line per report; the lines of standard input are requests.
//
//     gjs watch.js FOLDER-OF-EXTENSION
//
// A script, not a module: before gjs 1.76 a main loop run by a module blocks all promises.
/* global imports, ARGV */

const {Gio, GLib} = imports.gi;

const here = GLib.filename_to_uri(ARGV[0], null);
const loop = new GLib.MainLoop(null, false);
const tell = values => print(JSON.stringify(values));
const _ = text => text;

async function watch() {
    const {Daemon, sentence} = await import(`${here}/daemon.js`);
    const {present} = await import(`${here}/presentation.js`);
    let before = '';
    let capabilities = [];
    const daemon = new Daemon({
        changed: facts => {
            const now = JSON.stringify({shown: present(facts, _)});
            if (now !== before)
                print(now);
            before = now;
            if (facts.Capabilities !== capabilities)
                tell({capabilities: facts.Capabilities});
            capabilities = facts.Capabilities;
        },
        level: dbfs => tell({level: dbfs}),
        speaking: yes => tell({speaking: yes}),
        partial: (stable, unstable) => tell({partial: [stable, unstable]}),
        transcribed: text => tell({transcribed: text}),
    });
    return async line => {
        const [what, ...values] = line.split(' ');
        if (what === 'quit') {
            daemon.destroy();
            loop.quit();
            return;
        }
        try {
            await daemon[what](...values);
            tell({done: what});
        } catch (error) {
            tell({failed: what, sentence: sentence(error, _)});
        }
    };
}

function read(lines, wish) {
    lines.read_line_async(GLib.PRIORITY_DEFAULT, null, (stream, result) => {
        const [line] = stream.read_line_finish_utf8(result);
        if (line === null)
            return;
        wish(line).catch(broken);
        read(lines, wish);
    });
}

function broken(error) {
    tell({broken: String(error)});
    loop.quit();
}

const input = Gio.DataInputStream.new(new Gio.UnixInputStream({fd: 0, closeFd: false}));
watch().then(wish => read(input, wish)).catch(broken);
loop.run();
