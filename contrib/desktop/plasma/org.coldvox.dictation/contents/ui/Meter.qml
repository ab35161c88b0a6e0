// Bars of the voice level that move from right to left during speech.

import QtQuick

Item {
    id: meter

    property var levels: []
    property color color

    Accessible.ignored: true

    Repeater {
        model: meter.levels.length

        Rectangle {
            required property int index
            readonly property real step: meter.width / meter.levels.length

            width: Math.max(2, step * 0.5)
            height: Math.max(width, meter.height * meter.levels[index])
            x: step * index
            y: (meter.height - height) / 2
            radius: width / 2
            color: meter.color
        }
    }
}
