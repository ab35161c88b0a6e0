// The widget: connects the daemon with its presentation.

import QtQuick
import org.kde.plasma.core as PlasmaCore
import org.kde.plasma.plasmoid

import "presentation.mjs" as Presentation

PlasmoidItem {
    id: root

    readonly property var shown: Presentation.present(watched.facts, text => i18n(text))
    readonly property var icons: ({
        muted: "microphone-sensitivity-muted-symbolic",
        off: "microphone-sensitivity-muted-symbolic",
        waiting: "chronometer-symbolic",
        ready: "audio-input-microphone-symbolic",
        listening: "audio-input-microphone-symbolic",
        writing: "document-edit-symbolic"
    })

    // Plasma opens the popup of a widget when its shortcut is pressed, and the window that receives the text would lose the focus.
    // So Plasma only knows the light, and the popup is our own.
    preferredRepresentation: fullRepresentation
    Plasmoid.onActivated: watched.toggle()

    Plasmoid.icon: icons[shown.icon]
    Plasmoid.status: shown.kind === "gone" ? PlasmaCore.Types.PassiveStatus : PlasmaCore.Types.ActiveStatus
    toolTipMainText: shown.title
    toolTipSubText: watched.complaint || shown.detail || Presentation.engine(watched.facts, text => i18n(text))

    function act() {
        if (shown.action)
            watched.toggle();
        else
            popup.visible = true;
    }

    Daemon {
        id: watched
        partials: Plasmoid.configuration.showBubble && Plasmoid.configuration.showText
        onComplaintChanged: {
            if (complaint)
                popup.visible = true;
        }
    }

    Plasmoid.contextualActions: [
        PlasmaCore.Action {
            text: root.shown.action || i18n("Start dictating")
            icon.name: "audio-input-microphone-symbolic"
            enabled: root.shown.action !== ""
            onTriggered: watched.toggle()
        },
        PlasmaCore.Action {
            text: i18n("Stop and discard")
            icon.name: "edit-delete-symbolic"
            visible: root.shown.kind === "listening"
            onTriggered: watched.cancel()
        },
        PlasmaCore.Action {
            text: i18n("Restart the service")
            icon.name: "view-refresh-symbolic"
            onTriggered: watched.restart()
        }
    ]

    fullRepresentation: Light {
        shown: root.shown
        icon: root.icons[root.shown.icon]
        levels: watched.levels
        onWanted: {
            if (popup.visible)
                popup.visible = false;
            else if (Plasmoid.configuration.clickToggles)
                root.act();
            else
                popup.visible = true;
        }
        onMenuWanted: popup.visible = !popup.visible
    }

    PlasmaCore.Dialog {
        id: popup

        visualParent: root
        location: Plasmoid.location
        hideOnWindowDeactivate: true
        type: PlasmaCore.Dialog.PopupMenu
        onVisibleChanged: {
            if (!visible)
                return;
            watched.look();
            requestActivate();
            content.enter();
        }

        mainItem: Popup {
            id: content

            shown: root.shown
            icon: root.icons[root.shown.icon]
            daemon: watched
            onCloseWanted: popup.visible = false
        }
    }

    Bubble {
        shown: root.shown
        levels: watched.levels
        words: Plasmoid.configuration.showText ? watched.words : ""
        unstable: Plasmoid.configuration.showText ? watched.unstable : ""
        wanted: Plasmoid.configuration.showBubble && !popup.visible
    }
}
