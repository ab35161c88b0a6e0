// The daemon on the bus: keeps a copy of its properties, the voice level and the newest text, calls its methods.
//
// Only the user's wish to dictate starts a daemon that isn't running. Everything else is addressed to the unique name of the
// running one: the bus starts the service for a call to its well-known name, also in the moment after it was stopped.

import QtQuick
import org.kde.plasma.workspace.dbus as DBus

import "bus.mjs" as Bus
import "presentation.mjs" as Presentation

Item {
    id: daemon

    readonly property string name: "org.coldvox.Daemon1"
    readonly property string path: "/org/coldvox/Daemon1"
    readonly property string dictation: "org.coldvox.Dictation1"
    readonly property string engine: "org.coldvox.Engine1"
    readonly property string microphone: "org.coldvox.Microphone1"
    readonly property int bars: 24

    /// Properties by their names in the contract, and `present`.
    property var facts: Presentation.NOTHING
    /// Recent meter levels, 0 to 1, the newest last.
    property var levels: new Array(bars).fill(0)
    /// The newest text of the running session: words that do not change any more, and words after them that may.
    property string words: ""
    property string unstable: ""
    /// Whether the user wants text during speech.
    property bool partials: false
    /// Why the last request failed, as a sentence for the user; empty if it succeeded.
    property string complaint: ""

    /// Unique name of the running daemon's connection; empty if there is none, and until it is known.
    property string owner: ""

    /// Changes whenever what the last request failed for may no longer be true.
    readonly property string phase: `${facts.present} ${facts.State} ${facts.Degraded}`
    readonly property bool listening: facts.State === "listening"
    readonly property bool dictating: listening || facts.State === "transcribing"

    function toggle() {
        if (partials && facts.Capabilities.includes("partials"))
            ask(name, path, dictation, "ToggleDictationWithOptions", [{partials: true}], "(a{sv})");
        else
            ask(name, path, dictation, "ToggleDictation");
    }

    function cancel() {
        askRunning(dictation, "CancelDictation");
    }

    function selectDevice(device) {
        askRunning(microphone, "SelectDevice", [device]);
    }

    function setProvider(provider) {
        askRunning(engine, "SetProvider", [provider]);
    }

    function restart() {
        ask("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "RestartUnit",
            ["coldvoxd.service", "replace"]);
    }

    /// Read properties again, either all or those of some interfaces.
    function look(interfaces = [dictation, engine, microphone]) {
        if (!owner)
            return;
        for (const iface of interfaces)
            call(owner, path, "org.freedesktop.DBus.Properties", "GetAll", [iface], reply => learn(reply.value));
    }

    function learn(properties) {
        if (!watcher.registered)
            return;
        const found = Object.assign({}, facts, {present: true});
        for (const key in properties)
            found[key] = plain(properties[key]);
        if (JSON.stringify(found) !== JSON.stringify(facts))
            facts = found;
    }

    function receive(events) {
        const changed = new Set();
        for (const event of events) {
            switch (event.member) {
            case "Receiving":
                look();
                break;
            case "PropertiesChanged":
                changed.add(event.iface);
                break;
            case "Level":
                hear(event.dbfs);
                break;
            case "DictationStarted":
                words = "";
                unstable = "";
                break;
            default: // a text
                words = event.text;
                unstable = event.unstable ?? "";
            }
        }
        if (changed.size)
            look([...changed]);
    }

    function hear(dbfs) {
        levels = levels.slice(1).concat(Presentation.meter(dbfs));
    }

    /// Find the unique name of the daemon, and read its properties.
    function find() {
        owner = "";
        if (!watcher.registered)
            return;
        call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetNameOwner", [name], reply => {
            if (!watcher.registered)
                return;
            owner = plain(reply.value);
            look();
        });
    }

    function askRunning(iface, member, values) {
        if (owner)
            ask(owner, path, iface, member, values);
    }

    function ask(service, path, iface, member, values, signature) {
        complaint = "";
        const refused = reply => complaint = Bus.refusal(reply.error.name, reply.error.message, text => i18n(text));
        call(service, path, iface, member, values, () => look(), refused, signature);
    }

    /// The module derives the values' types unless there is a signature.
    function call(service, path, iface, member, values, answered, refused, signature) {
        const message = {service: service, path: path, iface: iface, member: member};
        if (values)
            message.arguments = values;
        if (signature)
            message.signature = signature;
        const reply = DBus.SessionBus.asyncCall(message);
        reply.finished.connect(() => {
            if (!reply.isError)
                answered(reply);
            else if (refused)
                refused(reply);
        });
    }

    /// Remove the wrapper that some versions of the module leave around a value.
    function plain(value) {
        return value !== null && typeof value === "object" && "value" in value ? value.value : value;
    }

    onPhaseChanged: complaint = ""
    onListeningChanged: levels = new Array(bars).fill(0)
    onDictatingChanged: {
        words = "";
        unstable = "";
    }

    DBus.DBusServiceWatcher {
        id: watcher
        busType: DBus.BusType.Session
        watchedService: daemon.name
        onRegisteredChanged: {
            daemon.facts = Object.assign({}, Presentation.NOTHING, {present: watcher.registered});
            daemon.find();
        }
    }

    Signals {
        id: signals
        owner: daemon.owner
        path: daemon.path
        frequent: daemon.listening
        onReceived: events => daemon.receive(events)
    }

    Timer { // without gdbus
        readonly property bool busy: ["listening", "transcribing", "loading", ""].includes(daemon.facts.State)
        property int times: 0

        interval: busy ? 200 : 1000
        repeat: true
        running: daemon.facts.present && !signals.working
        onTriggered: {
            times += 1;
            daemon.look(times % 5 ? [daemon.dictation, daemon.engine] : undefined);
        }
    }

    Component.onCompleted: find()
}
