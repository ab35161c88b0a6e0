// The widget's settings. The shortcut is set on the page beside it, which Plasma provides.

import QtQuick
import QtQuick.Controls as Controls
import org.kde.kcmutils as KCM
import org.kde.kirigami as Kirigami

KCM.SimpleKCM {
    property alias cfg_clickToggles: clickToggles.checked
    property bool cfg_clickTogglesDefault // set by Plasma

    Kirigami.FormLayout {
        Controls.CheckBox {
            id: clickToggles
            text: i18n("Click the widget to start and stop")
        }
    }
}
