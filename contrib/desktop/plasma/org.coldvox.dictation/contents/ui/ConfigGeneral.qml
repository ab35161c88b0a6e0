// The widget's settings. The key is set on the page beside it, which Plasma brings.

import QtQuick
import QtQuick.Controls as Controls
import org.kde.kcmutils as KCM
import org.kde.kirigami as Kirigami

KCM.SimpleKCM {
    property alias cfg_clickToggles: clickToggles.checked
    property bool cfg_clickTogglesDefault // Plasma hands it in

    Kirigami.FormLayout {
        Controls.CheckBox {
            id: clickToggles
            text: i18n("A click on the widget starts and stops")
        }
    }
}
