// A client from the code that gdbus-codegen generates: one session, whose options, text, transcript and microphones it prints.
#include "coldvox.h"

static const char *const name = "org.coldvox.Daemon1", *const path = "/org/coldvox/Daemon1";
static GMainLoop *loop;

static void transcribed(ColdvoxDictation1 *dictation, guint session, guint utterance, const char *text, GVariant *details)
{
    double latency = 0;
    char *transcript = NULL;
    const char *device, *description;
    GVariantIter devices;
    GError *error = NULL;
    g_variant_lookup(details, "latency", "d", &latency);
    g_print("text %s %g\n", text, latency);
    if (!coldvox_dictation1_call_stop_dictation_sync(dictation, &transcript, NULL, &error))
        g_error("%s", error->message);
    g_print("transcript %s\n", transcript);
    g_free(transcript);
    ColdvoxMicrophone1 *microphone = coldvox_microphone1_proxy_new_for_bus_sync(
        G_BUS_TYPE_SESSION, G_DBUS_PROXY_FLAGS_NONE, name, path, NULL, &error);
    g_variant_iter_init(&devices, coldvox_microphone1_get_devices(microphone));
    while (g_variant_iter_next(&devices, "(&s&s)", &device, &description))
        g_print("device %s %s\n", device, description);
    g_object_unref(microphone);
    g_main_loop_quit(loop);
}

int main(void)
{
    GError *error = NULL;
    guint session = 0, limit = 0;
    GVariantDict options;
    GVariant *in_force = NULL;
    loop = g_main_loop_new(NULL, FALSE);
    ColdvoxDictation1 *dictation = coldvox_dictation1_proxy_new_for_bus_sync(
        G_BUS_TYPE_SESSION, G_DBUS_PROXY_FLAGS_NONE, name, path, NULL, &error);
    g_signal_connect(dictation, "transcribed", G_CALLBACK(transcribed), NULL);
    g_variant_dict_init(&options, NULL);
    g_variant_dict_insert(&options, "words", "b", TRUE);
    g_variant_dict_insert(&options, "max-seconds", "i", 60);
    if (!coldvox_dictation1_call_start_dictation_with_options_sync(
            dictation, g_variant_dict_end(&options), &session, NULL, &error))
        g_error("%s", error->message);
    g_print("session %u\n", session);
    if (!coldvox_dictation1_call_get_session_options_sync(dictation, session, &in_force, NULL, &error))
        g_error("%s", error->message);
    g_variant_lookup(in_force, "max-seconds", "u", &limit);
    g_print("limit %u\n", limit);
    g_variant_unref(in_force);
    g_main_loop_run(loop);
    return 0;
}
