// The type that the contract's annotation names: the value of the property Devices, `a(ss)`.
#pragma once

#include <QtCore/QList>
#include <QtCore/QString>
#include <QtDBus/QDBusArgument>

struct ColdvoxDevice {
    QString name;
    QString description;
};
using ColdvoxDevices = QList<ColdvoxDevice>;
Q_DECLARE_METATYPE(ColdvoxDevice)
Q_DECLARE_METATYPE(ColdvoxDevices)

inline QDBusArgument &operator<<(QDBusArgument &to, const ColdvoxDevice &device)
{
    to.beginStructure();
    to << device.name << device.description;
    to.endStructure();
    return to;
}

inline const QDBusArgument &operator>>(const QDBusArgument &from, ColdvoxDevice &device)
{
    from.beginStructure();
    from >> device.name >> device.description;
    from.endStructure();
    return from;
}
