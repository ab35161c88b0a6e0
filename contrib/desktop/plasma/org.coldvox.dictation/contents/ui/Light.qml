// The indicator in the panel: an icon of the state, the level during listening, the progress of a load, and a warning.

import QtQuick
import QtQuick.Layouts
import org.kde.kirigami as Kirigami
import org.kde.plasma.components as PlasmaComponents
import org.kde.plasma.core as PlasmaCore
import org.kde.plasma.plasmoid

import "contrast.mjs" as Contrast

MouseArea {
    id: light

    required property var shown
    required property string icon
    required property var levels

    signal wanted
    signal menuWanted

    readonly property bool upright: Plasmoid.formFactor === PlasmaCore.Types.Vertical
    readonly property bool listening: shown.kind === "listening"
    readonly property color alarm: ink(Kirigami.Theme.negativeTextColor)
    readonly property color warning: ink(Kirigami.Theme.neutralTextColor)

    function ink(color) {
        return Contrast.readable(color, Kirigami.Theme.backgroundColor, Kirigami.Theme.textColor);
    }

    Layout.minimumWidth: upright ? -1 : row.implicitWidth + Kirigami.Units.smallSpacing * 2
    Layout.minimumHeight: upright ? row.implicitHeight + Kirigami.Units.smallSpacing * 2 : -1
    acceptedButtons: Qt.LeftButton | Qt.MiddleButton
    hoverEnabled: true
    activeFocusOnTab: true
    Accessible.name: [shown.title, shown.detail].filter(part => part).join(" ")
    Accessible.description: shown.action
    Accessible.role: Accessible.Button
    Accessible.onPressAction: wanted()
    onClicked: mouse => mouse.button === Qt.MiddleButton ? menuWanted() : wanted()
    Keys.onPressed: event => {
        const pressed = [Qt.Key_Space, Qt.Key_Return, Qt.Key_Enter, Qt.Key_Select].includes(event.key);
        event.accepted = pressed || event.key === Qt.Key_Menu;
        if (pressed)
            wanted();
        else if (event.accepted)
            menuWanted();
    }

    Rectangle { // the keyboard's focus
        anchors.fill: parent
        visible: light.activeFocus
        color: "transparent"
        border.width: 2
        border.color: light.ink(Kirigami.Theme.highlightColor)
        radius: Kirigami.Units.cornerRadius
    }

    GridLayout {
        id: row

        anchors.centerIn: parent
        columns: light.upright ? 1 : 4
        columnSpacing: Kirigami.Units.smallSpacing
        rowSpacing: 0

        Sign {
            Layout.alignment: Qt.AlignCenter
            icon: light.icon
            listening: light.listening
            ink: light.alarm
        }

        Meter {
            Layout.preferredWidth: light.upright ? Kirigami.Units.iconSizes.smallMedium : Kirigami.Units.gridUnit * 2.5
            Layout.preferredHeight: Kirigami.Units.iconSizes.smallMedium
            Layout.alignment: Qt.AlignCenter
            visible: light.listening
            levels: light.levels.slice(light.upright ? -5 : -9)
            color: light.alarm
        }

        PlasmaComponents.Label {
            Layout.alignment: Qt.AlignCenter
            visible: light.shown.progress >= 0
            text: `${Math.floor(Math.max(0, light.shown.progress) * 100)} %`
            font: light.upright ? Kirigami.Theme.smallFont : Kirigami.Theme.defaultFont
            Accessible.ignored: true
        }

        Kirigami.Icon {
            Layout.preferredWidth: Kirigami.Units.iconSizes.small
            Layout.preferredHeight: Kirigami.Units.iconSizes.small
            Layout.alignment: Qt.AlignCenter
            visible: light.shown.degraded
            source: "data-warning"
            isMask: true // which fills the exclamation mark
            color: light.warning
            Accessible.ignored: true

            Text {
                anchors.centerIn: parent
                anchors.verticalCenterOffset: Math.round(parent.height / 10)
                text: "!"
                font.bold: true
                font.pixelSize: Math.round(parent.height * 0.6)
                color: Kirigami.Theme.backgroundColor
                Accessible.ignored: true
            }
        }
    }
}
