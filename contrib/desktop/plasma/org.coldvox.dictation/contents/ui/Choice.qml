// A choice among named options that always shows the daemon's value, not what was clicked.

import QtQuick
import org.kde.plasma.components as PlasmaComponents

PlasmaComponents.ComboBox {
    id: choice

    /// Pairs of a name and a text for people.
    property var options: []
    /// The current name or text.
    property string chosen: ""
    /// The label beside it, for assistive technology.
    required property string label

    signal picked(string name)

    function settle() {
        currentIndex = options.findIndex(option => option.includes(chosen));
    }

    Accessible.name: label
    displayText: currentIndex < 0 ? chosen : currentText
    model: options.map(option => option[1])
    onModelChanged: settle()
    onChosenChanged: settle()
    onActivated: index => {
        picked(options[index][0]);
        settle();
    }
}
