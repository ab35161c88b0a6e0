// The voice level while it is wanted. Plasma's D-Bus module (as of 6.3) forwards no signals, so GLib's gdbus receives them in
// short runs; without gdbus there is no level.

import QtQuick
import org.kde.plasma.plasma5support as Plasma5Support

Item {
    id: levels

    /// Unique name of the daemon's connection: gdbus would start the service if it were given the well-known name.
    required property string owner
    required property string path
    required property bool wanted

    signal heard(real dbfs)

    property int moments: 0
    readonly property string command: `timeout 0.3 gdbus monitor --session --dest ${owner} --object-path ${path}`

    Plasma5Support.DataSource {
        id: moment

        engine: "executable"
        onNewData: (source, data) => {
            disconnectSource(source);
            for (const line of data.stdout.split("\n")) {
                const level = line.match(/\.Level \((-?[0-9.e+-]+),\)/);
                if (level && levels.wanted)
                    levels.heard(Number(level[1]));
            }
            const caught = data["exit code"] === 124; // timeout's own code: gdbus is installed and ran until the end
            if (caught)
                Qt.callLater(levels.listen);
        }
    }

    function listen() {
        if (!wanted)
            return;
        moments += 1;
        moment.connectSource(`${command} # ${moments}`); // the result of an identical command would come from a cache
    }

    onWantedChanged: listen()
}
