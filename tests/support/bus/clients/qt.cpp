// A client from the code that qdbusxml2cpp generates: one session, whose options, text, transcript and microphones it prints.
#include "coldvox.h"

#include <QtCore/QCoreApplication>
#include <QtCore/QTextStream>
#include <QtDBus/QDBusMetaType>

int main(int argc, char **argv)
{
    QCoreApplication application(argc, argv);
    QTextStream out(stdout);
    qDBusRegisterMetaType<ColdvoxDevice>();
    qDBusRegisterMetaType<ColdvoxDevices>();
    const QString name = "org.coldvox.Daemon1", path = "/org/coldvox/Daemon1";
    OrgColdvoxDictation1Interface dictation(name, path, QDBusConnection::sessionBus());
    OrgColdvoxMicrophone1Interface microphone(name, path, QDBusConnection::sessionBus());
    QObject::connect(&dictation, &OrgColdvoxDictation1Interface::Transcribed, &application,
        [&](uint, uint, const QString &text, const QVariantMap &details) {
            out << "text " << text << " " << details["latency"].toDouble() << Qt::endl;
            out << "transcript " << dictation.StopDictation().value() << Qt::endl;
            for (const ColdvoxDevice &device : microphone.devices())
                out << "device " << device.name << " " << device.description << Qt::endl;
            application.quit();
        });
    QDBusPendingReply<uint> session = dictation.StartDictationWithOptions({{"words", true}, {"max-seconds", 60}});
    session.waitForFinished();
    if (session.isError()) {
        out << session.error().message() << Qt::endl;
        return 1;
    }
    out << "session " << session.value() << Qt::endl;
    out << "limit " << dictation.GetSessionOptions(session.value()).value()["max-seconds"].toUInt() << Qt::endl;
    return application.exec();
}
