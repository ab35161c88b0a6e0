// The widget's settings. The shortcut is set on the page beside it, which Plasma provides.

import QtQuick
import QtQuick.Controls as Controls
import org.kde.kcmutils as KCM
import org.kde.kirigami as Kirigami

KCM.SimpleKCM {
    property alias cfg_clickToggles: clickToggles.checked
    property alias cfg_showBubble: showBubble.checked
    property alias cfg_showText: showText.checked
    property bool cfg_clickTogglesDefault // set by Plasma, as the next two
    property bool cfg_showBubbleDefault
    property bool cfg_showTextDefault

    Kirigami.FormLayout {
        Controls.CheckBox {
            id: clickToggles
            text: i18n("Click the widget to start and stop")
        }

        Controls.CheckBox {
            id: showBubble
            text: i18n("Show a bubble while dictating")
        }

        Controls.CheckBox {
            id: showText
            text: i18n("Show the recognized text")
            enabled: showBubble.checked
            Accessible.description: warning.text
        }

        Controls.Label {
            id: warning
            text: i18n("Anyone who can see your screen can read it.")
            font: Kirigami.Theme.smallFont
        }
    }
}
