// The popup: the state in words; start and stop; microphone, provider, model; restart.

import QtQuick
import QtQuick.Layouts
import org.kde.kirigami as Kirigami
import org.kde.plasma.components as PlasmaComponents

import "contrast.mjs" as Contrast
import "presentation.mjs" as Presentation

ColumnLayout {
    id: popup

    required property var shown
    required property string icon
    required property var daemon

    readonly property var facts: daemon.facts
    readonly property bool listening: shown.kind === "listening"
    readonly property var providers: Presentation.offeredProviders(facts)
    readonly property color alarm: Contrast.readable(Kirigami.Theme.negativeTextColor, Kirigami.Theme.backgroundColor,
        Kirigami.Theme.textColor)

    signal closeWanted

    function translate(text) {
        return i18n(text);
    }

    Layout.minimumWidth: Kirigami.Units.gridUnit * 20
    Layout.maximumWidth: Layout.minimumWidth
    Layout.minimumHeight: implicitHeight
    Layout.maximumHeight: implicitHeight
    spacing: Kirigami.Units.largeSpacing
    focus: true
    Accessible.role: Accessible.Dialog
    Accessible.name: shown.title
    Accessible.description: text.text
    Keys.onEscapePressed: closeWanted()

    /// Give the keyboard to the popup's first control.
    function enter() {
        (toggle.enabled ? toggle : restart).forceActiveFocus(Qt.TabFocusReason);
    }

    RowLayout {
        Layout.margins: Kirigami.Units.largeSpacing
        Layout.bottomMargin: 0
        spacing: Kirigami.Units.largeSpacing

        Sign {
            Layout.preferredWidth: Kirigami.Units.iconSizes.medium
            Layout.preferredHeight: Kirigami.Units.iconSizes.medium
            Layout.alignment: Qt.AlignTop
            icon: popup.icon
            listening: popup.listening
            ink: popup.alarm
        }

        ColumnLayout {
            spacing: 0

            Kirigami.Heading {
                level: 3
                text: popup.shown.title
            }

            PlasmaComponents.Label {
                id: text

                Layout.fillWidth: true
                visible: text !== ""
                text: popup.daemon.complaint || popup.shown.detail
                wrapMode: Text.Wrap
            }

            PlasmaComponents.Label {
                visible: text !== ""
                text: Presentation.engine(popup.facts, popup.translate)
                font: Kirigami.Theme.smallFont
            }
        }
    }

    PlasmaComponents.ProgressBar {
        Layout.fillWidth: true
        Layout.leftMargin: Kirigami.Units.largeSpacing
        Layout.rightMargin: Kirigami.Units.largeSpacing
        visible: popup.shown.progress >= 0
        value: Math.max(0, popup.shown.progress)
        Accessible.name: popup.shown.title
    }

    Meter {
        Layout.fillWidth: true
        Layout.preferredHeight: Kirigami.Units.gridUnit * 2
        Layout.leftMargin: Kirigami.Units.largeSpacing
        Layout.rightMargin: Kirigami.Units.largeSpacing
        visible: popup.listening
        levels: popup.daemon.levels
        color: popup.alarm
    }

    RowLayout {
        Layout.leftMargin: Kirigami.Units.largeSpacing
        Layout.rightMargin: Kirigami.Units.largeSpacing

        PlasmaComponents.Button {
            id: toggle

            Layout.fillWidth: true
            text: popup.shown.action || i18n("Start dictating")
            enabled: popup.shown.action !== ""
            icon.name: popup.listening ? "media-playback-stop-symbolic" : "audio-input-microphone-symbolic"
            onClicked: popup.daemon.toggle()
        }

        PlasmaComponents.Button {
            visible: popup.listening
            text: i18n("Discard")
            onClicked: popup.daemon.cancel()
        }
    }

    GridLayout {
        Layout.margins: Kirigami.Units.largeSpacing
        Layout.topMargin: 0
        columns: 2
        visible: popup.facts.present

        PlasmaComponents.Label {
            id: microphone

            text: i18n("Microphone")
        }

        Choice {
            label: microphone.text
            Layout.fillWidth: true
            options: [["default", i18n("The desktop’s default")]].concat(popup.facts.Devices.map(device => [device[0], device[1]]))
            chosen: popup.facts.Selection
            onPicked: name => popup.daemon.selectDevice(name)
        }

        PlasmaComponents.Label {
            id: provider

            visible: popup.facts.ExecutionProvider !== ""
            text: i18n("Runs on")
        }

        Choice {
            label: provider.text
            Layout.fillWidth: true
            visible: popup.facts.ExecutionProvider !== ""
            options: [["auto", Presentation.provider("auto", popup.translate)]].concat(
                popup.providers.map(name => [name, Presentation.provider(name, popup.translate)]))
            chosen: Presentation.activeProvider(popup.facts)
            onPicked: name => popup.daemon.setProvider(name)
        }
    }

    PlasmaComponents.Button {
        id: restart

        Layout.leftMargin: Kirigami.Units.largeSpacing
        Layout.rightMargin: Kirigami.Units.largeSpacing
        Layout.bottomMargin: Kirigami.Units.largeSpacing
        Layout.alignment: Qt.AlignRight
        flat: true
        icon.name: "view-refresh-symbolic"
        text: i18n("Restart the service")
        onClicked: popup.daemon.restart()
    }
}
