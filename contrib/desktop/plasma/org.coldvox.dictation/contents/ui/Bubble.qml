// The bubble above the windows during dictation: the voice level, and the text recognized so far. It takes neither the focus nor clicks.

import QtQuick
import QtQuick.Layouts
import org.kde.kirigami as Kirigami
import org.kde.plasma.components as PlasmaComponents
import org.kde.plasma.core as PlasmaCore

import "contrast.mjs" as Contrast
import "presentation.mjs" as Presentation

PlasmaCore.Dialog {
    id: bubble

    required property var shown
    required property var levels
    /// The newest text, empty until there is one: words that do not change any more, and words after them that may.
    required property string words
    required property string unstable
    /// Whether the user wants a bubble.
    required property bool wanted

    readonly property bool listening: shown.kind === "listening"
    readonly property string state: shown.degraded ? `${shown.title}\n${shown.detail}` : shown.title

    location: PlasmaCore.Types.Floating
    type: PlasmaCore.Dialog.OnScreenDisplay
    outputOnly: true
    visible: wanted && (listening || shown.kind === "transcribing")

    mainItem: ColumnLayout {
        Layout.minimumWidth: Kirigami.Units.gridUnit * 26
        Layout.maximumWidth: Layout.minimumWidth
        Layout.minimumHeight: implicitHeight
        Layout.maximumHeight: implicitHeight
        spacing: 0

        Meter {
            Layout.topMargin: Kirigami.Units.largeSpacing
            Layout.preferredWidth: Kirigami.Units.gridUnit * 12
            Layout.preferredHeight: Kirigami.Units.gridUnit * 2
            Layout.alignment: Qt.AlignCenter
            visible: bubble.listening
            levels: bubble.levels
            color: Contrast.readable(Kirigami.Theme.negativeTextColor, Kirigami.Theme.backgroundColor, Kirigami.Theme.textColor)
        }

        PlasmaComponents.Label {
            Layout.fillWidth: true
            Layout.margins: Kirigami.Units.largeSpacing
            text: styled(...Presentation.ending(bubble.words, bubble.unstable)) || escaped(bubble.state)
            textFormat: Text.StyledText
            horizontalAlignment: Text.AlignHCenter
            wrapMode: Text.Wrap

            function escaped(text) {
                return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\n/g, "<br>");
            }

            function styled(stable, unstable) {
                const ink = Contrast.readable(Kirigami.Theme.disabledTextColor, Kirigami.Theme.backgroundColor, Kirigami.Theme.textColor);
                const dimmed = unstable && `<font color="${ink}">${escaped(unstable)}</font>`;
                return [escaped(stable), dimmed].filter(text => text).join(" ");
            }
        }
    }
}
