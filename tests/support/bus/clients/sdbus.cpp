// A client from the code that sdbus-c++-xml2cpp generates: one session, whose options, text, transcript and microphones it prints.
#include "coldvox.h"

#include <iostream>

using Details = std::map<std::string, sdbus::Variant>;

class Client final : public sdbus::ProxyInterfaces<org::coldvox::Dictation1_proxy, org::coldvox::Microphone1_proxy>
{
public:
    explicit Client(sdbus::IConnection &bus)
        : ProxyInterfaces(bus, "org.coldvox.Daemon1", "/org/coldvox/Daemon1"), bus(bus)
    {
        registerProxy();
    }

    ~Client() { unregisterProxy(); }

private:
    void onTranscribed(const uint32_t &, const uint32_t &, const std::string &text, const Details &details) override
    {
        std::cout << "text " << text << " " << details.at("latency").get<double>() << std::endl;
        bus.leaveEventLoop();
    }
    void onDictationStarted(const uint32_t &) override {}
    void onDictationStopped(const uint32_t &, const std::string &, const std::string &) override {}
    void onSpeechStarted(const uint32_t &) override {}
    void onSpeechEnded(const uint32_t &) override {}
    void onPartialTranscribed(
        const uint32_t &, const uint32_t &, const std::string &, const std::string &) override {}
    void onSentenceClosed(const uint32_t &, const uint32_t &) override {}
    void onLevel(const double &) override {}
    void onFileProgress(const uint32_t &, const double &) override {}
    void onFileTranscribed(const uint32_t &, const std::string &, const Details &) override {}

    sdbus::IConnection &bus;
};

int main()
{
    auto bus = sdbus::createSessionBusConnection();
    Client client(*bus);
    const auto session = client.StartDictationWithOptions({{"words", true}, {"max-seconds", 60}});
    std::cout << "session " << session << std::endl;
    std::cout << "limit " << client.GetSessionOptions(session).at("max-seconds").get<uint32_t>() << std::endl;
    bus->enterEventLoop();
    std::cout << "transcript " << client.StopDictation() << std::endl;
    for (const auto &device : client.Devices())
        std::cout << "device " << device.get<0>() << " " << device.get<1>() << std::endl;
}
