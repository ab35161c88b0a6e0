// The indicator in the panel: an icon of the state, the level during listening, the progress of a load, and a warning.

import QtQuick
import QtQuick.Layouts
import org.kde.kirigami as Kirigami
import org.kde.plasma.components as PlasmaComponents
import org.kde.plasma.core as PlasmaCore
import org.kde.plasma.plasmoid

MouseArea {
    id: light

    required property var shown
    required property string icon
    required property var levels

    signal wanted
    signal menuWanted

    readonly property bool upright: Plasmoid.formFactor === PlasmaCore.Types.Vertical
    readonly property bool listening: shown.kind === "listening"

    Layout.minimumWidth: upright ? -1 : row.implicitWidth + Kirigami.Units.smallSpacing * 2
    Layout.minimumHeight: upright ? row.implicitHeight + Kirigami.Units.smallSpacing * 2 : -1
    acceptedButtons: Qt.LeftButton | Qt.MiddleButton
    hoverEnabled: true
    Accessible.name: [shown.title, shown.detail].filter(part => part).join(" ")
    Accessible.role: Accessible.Button
    onClicked: mouse => mouse.button === Qt.MiddleButton ? menuWanted() : wanted()

    GridLayout {
        id: row

        anchors.centerIn: parent
        columns: light.upright ? 1 : 4
        columnSpacing: Kirigami.Units.smallSpacing
        rowSpacing: 0

        Kirigami.Icon {
            Layout.preferredWidth: Kirigami.Units.iconSizes.smallMedium
            Layout.preferredHeight: Kirigami.Units.iconSizes.smallMedium
            Layout.alignment: Qt.AlignCenter
            source: light.icon
            isMask: true
            color: light.listening ? Kirigami.Theme.negativeTextColor : Kirigami.Theme.textColor
            opacity: light.shown.icon === "off" ? 0.55 : 1
        }

        Meter {
            Layout.preferredWidth: Kirigami.Units.gridUnit * 2.5
            Layout.preferredHeight: Kirigami.Units.iconSizes.smallMedium
            visible: light.listening && !light.upright
            levels: light.levels.slice(-9)
            color: Kirigami.Theme.negativeTextColor
        }

        PlasmaComponents.Label {
            visible: light.shown.progress >= 0
            text: `${Math.floor(Math.max(0, light.shown.progress) * 100)} %`
        }

        Kirigami.Icon {
            Layout.preferredWidth: Kirigami.Units.iconSizes.small
            Layout.preferredHeight: Kirigami.Units.iconSizes.small
            Layout.alignment: Qt.AlignCenter
            visible: light.shown.degraded
            source: "data-warning"
        }
    }
}
