// The icon of a state. While the daemon listens, it has a dot, so that this is not shown by colour alone.

import QtQuick
import org.kde.kirigami as Kirigami

Item {
    id: sign

    required property string icon
    required property bool listening
    /// Colour of an icon while the daemon listens.
    required property color ink

    implicitWidth: Kirigami.Units.iconSizes.smallMedium
    implicitHeight: implicitWidth
    Accessible.ignored: true

    Kirigami.Icon {
        anchors.fill: parent
        source: sign.icon
        isMask: true
        color: sign.listening ? sign.ink : Kirigami.Theme.textColor
    }

    Rectangle {
        anchors.right: parent.right
        anchors.top: parent.top
        width: Math.round(parent.width * 0.4)
        height: width
        radius: width / 2
        visible: sign.listening
        color: sign.ink
        border.width: 1
        border.color: Kirigami.Theme.backgroundColor
    }
}
