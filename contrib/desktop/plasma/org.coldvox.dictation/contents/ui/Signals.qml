// The daemon's signals, which Plasma's D-Bus module (as of 6.3) does not deliver. GLib's gdbus receives them as long as the daemon
// runs and writes them into a FIFO; a second command returns what is in it. Both sleep until there is a signal.

import QtQuick
import org.kde.plasma.plasma5support as Plasma5Support

import "bus.mjs" as Bus

Item {
    id: signals

    /// Unique name of the daemon's connection: gdbus would start the service if it were given the well-known name.
    required property string owner
    required property string path
    /// Whether signals come in quick succession, so that they are read in groups.
    required property bool frequent

    /// Whether signals of this daemon are received; false if gdbus is missing.
    property bool working: true

    /// Signals, as bus.mjs describes them.
    signal received(var events)

    readonly property string fifo: `"$XDG_RUNTIME_DIR"/coldvoxd-widget-${Math.random().toString(36).slice(2)}`

    property string writer: ""
    property string reader: ""
    property string rest: ""
    property int runs: 0

    Plasma5Support.DataSource {
        id: shell

        engine: "executable"
        onNewData: (source, data) => {
            disconnectSource(source);
            if (source === signals.writer || source === signals.reader && !data.stdout) {
                signals.end();
                signals.working = false;
            } else if (source === signals.reader) {
                signals.take(data.stdout);
            }
        }
    }

    /// Run a command; a number makes it a new one, because the result of an identical one would come from a cache.
    function run(script) {
        runs += 1;
        const source = `${script} # ${runs}`;
        shell.connectSource(source);
        return source;
    }

    function begin() {
        rest = "";
        working = true;
        writer = run(Bus.writing(fifo, owner, path));
        read("first");
    }

    function read(when) {
        reader = run(Bus.reading(fifo, when));
    }

    function take(output) {
        const found = Bus.events(rest + output);
        rest = found.rest;
        if (found.events.length)
            received(found.events);
        read(frequent ? "frequent" : "rare");
    }

    /// End both commands.
    function end() {
        const ended = [writer, reader].filter(source => source);
        writer = "";
        reader = "";
        ended.forEach(source => shell.disconnectSource(source));
        if (ended.length)
            run(`rm -f ${fifo}`);
    }

    onOwnerChanged: {
        end();
        if (owner)
            begin();
    }
    Component.onDestruction: end()
}
