/* A Vulkan layer that makes a real driver fail. The file that COLDVOX_VULKAN_FAULT names says how, each time that work is
 * submitted or memory is allocated: `lost` (the device is lost, until the file says otherwise), `memory` (no device memory),
 * `hang` (submitting takes 60 s, or until the file says otherwise), `wrong` (compute work is dropped, so results are what was
 * in memory before). Anything else, or no file, is a healthy driver. The specification is the Vulkan loader's
 * "Loader and Layer Interface", version 2. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#define EXPORT __attribute__((visibility("default")))
#define HANG_STEPS 1200 /* of 50 ms */

static PFN_vkGetInstanceProcAddr next_instance;
static PFN_vkGetDeviceProcAddr next_device;
static PFN_vkQueueSubmit next_submit;
static PFN_vkAllocateMemory next_allocate;
static PFN_vkCmdDispatch next_dispatch;

static int fault_is(const char *name) {
    char said[16] = "";
    const char *path = getenv("COLDVOX_VULKAN_FAULT");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file)
        return 0;
    if (fscanf(file, "%15s", said) != 1)
        said[0] = 0;
    fclose(file);
    return !strcmp(said, name);
}

static VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue queue, uint32_t count, const VkSubmitInfo *work, VkFence fence) {
    struct timespec step = {0, 50000000};
    if (fault_is("lost"))
        return VK_ERROR_DEVICE_LOST;
    for (int steps = 0; steps < HANG_STEPS && fault_is("hang"); steps++)
        nanosleep(&step, NULL);
    return next_submit(queue, count, work, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL allocate(VkDevice device, const VkMemoryAllocateInfo *wanted,
                                               const VkAllocationCallbacks *callbacks, VkDeviceMemory *memory) {
    if (fault_is("memory"))
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return next_allocate(device, wanted, callbacks, memory);
}

static VKAPI_ATTR void VKAPI_CALL dispatch(VkCommandBuffer commands, uint32_t x, uint32_t y, uint32_t z) {
    if (!fault_is("wrong"))
        next_dispatch(commands, x, y, z);
}

static void *link_of(const void *chain, VkStructureType type) {
    const VkBaseInStructure *each = chain;
    for (; each; each = each->pNext)
        if (each->sType == type && ((const VkLayerInstanceCreateInfo *)each)->function == VK_LAYER_LINK_INFO)
            return (void *)each;
    return NULL;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo *wanted, const VkAllocationCallbacks *callbacks,
                                                      VkInstance *instance) {
    VkLayerInstanceCreateInfo *link = link_of(wanted->pNext, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO);
    if (!link)
        return VK_ERROR_INITIALIZATION_FAILED;
    next_instance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    return ((PFN_vkCreateInstance)next_instance(NULL, "vkCreateInstance"))(wanted, callbacks, instance);
}

static VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice gpu, const VkDeviceCreateInfo *wanted,
                                                    const VkAllocationCallbacks *callbacks, VkDevice *device) {
    VkLayerDeviceCreateInfo *link = link_of(wanted->pNext, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO);
    VkResult result;
    if (!link)
        return VK_ERROR_INITIALIZATION_FAILED;
    PFN_vkGetInstanceProcAddr instance_functions = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    next_device = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    result = ((PFN_vkCreateDevice)instance_functions(NULL, "vkCreateDevice"))(gpu, wanted, callbacks, device);
    if (result == VK_SUCCESS) {
        next_submit = (PFN_vkQueueSubmit)next_device(*device, "vkQueueSubmit");
        next_allocate = (PFN_vkAllocateMemory)next_device(*device, "vkAllocateMemory");
        next_dispatch = (PFN_vkCmdDispatch)next_device(*device, "vkCmdDispatch");
    }
    return result;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_function(VkDevice device, const char *name);

static PFN_vkVoidFunction own(const char *name) {
    if (!strcmp(name, "vkGetDeviceProcAddr"))
        return (PFN_vkVoidFunction)device_function;
    if (!strcmp(name, "vkCreateInstance"))
        return (PFN_vkVoidFunction)create_instance;
    if (!strcmp(name, "vkCreateDevice"))
        return (PFN_vkVoidFunction)create_device;
    if (!strcmp(name, "vkQueueSubmit"))
        return (PFN_vkVoidFunction)submit;
    if (!strcmp(name, "vkAllocateMemory"))
        return (PFN_vkVoidFunction)allocate;
    if (!strcmp(name, "vkCmdDispatch"))
        return (PFN_vkVoidFunction)dispatch;
    return NULL;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_function(VkDevice device, const char *name) {
    PFN_vkVoidFunction found = own(name);
    return found ? found : next_device(device, name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL instance_function(VkInstance instance, const char *name) {
    PFN_vkVoidFunction found = !strcmp(name, "vkGetInstanceProcAddr") ? (PFN_vkVoidFunction)instance_function : own(name);
    return found ? found : next_instance(instance, name);
}

EXPORT VKAPI_ATTR VkResult VKAPI_CALL vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *interface) {
    interface->loaderLayerInterfaceVersion = 2;
    interface->pfnGetInstanceProcAddr = instance_function;
    interface->pfnGetDeviceProcAddr = device_function;
    interface->pfnGetPhysicalDeviceProcAddr = NULL;
    return VK_SUCCESS;
}
