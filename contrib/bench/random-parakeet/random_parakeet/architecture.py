"""The configuration of parakeet-tdt-0.6b in NeMo's terms, without settings that only training reads."""

from typing import Any

SAMPLE_RATE = 16_000
MEL_BINS = 128
WIDTH = 1024
PREDICTION_WIDTH = 640
PIECES = 1024
DURATIONS = [0, 1, 2, 3, 4]

PREPROCESSOR = {
    "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
    "sample_rate": SAMPLE_RATE,
    "features": MEL_BINS,
    "n_fft": 512,
    "window": "hann",
    "window_size": 0.025,
    "window_stride": 0.01,
    "normalize": "per_feature",
    "dither": 0.0,
    "pad_to": 0,
}
ENCODER = {
    "_target_": "nemo.collections.asr.modules.ConformerEncoder",
    "feat_in": MEL_BINS,
    "feat_out": -1,
    "n_layers": 24,
    "d_model": WIDTH,
    "n_heads": 8,
    "ff_expansion_factor": 4,
    "conv_kernel_size": 9,
    "conv_norm_type": "batch_norm",
    "subsampling": "dw_striding",
    "subsampling_factor": 8,
    "subsampling_conv_channels": 256,
    "self_attention_model": "rel_pos",
    "att_context_size": [-1, -1],
    "pos_emb_max_len": 5000,
    "untie_biases": True,
    "use_bias": False,
    "xscaling": False,
}
PREDICTION = {
    "_target_": "nemo.collections.asr.modules.RNNTDecoder",
    "blank_as_pad": True,
    "prednet": {"pred_hidden": PREDICTION_WIDTH, "pred_rnn_layers": 2, "t_max": None, "dropout": 0.0},
}
JOINT = {
    "_target_": "nemo.collections.asr.modules.RNNTJoint",
    "fuse_loss_wer": True,
    "fused_batch_size": 4,
    "num_extra_outputs": len(DURATIONS),
    "jointnet": {
        "joint_hidden": PREDICTION_WIDTH,
        "encoder_hidden": WIDTH,
        "pred_hidden": PREDICTION_WIDTH,
        "activation": "relu",
        "dropout": 0.0,
    },
}


def configuration() -> dict[str, Any]:
    """Return the configuration for `EncDecRNNTModel`."""
    return {
        "sample_rate": SAMPLE_RATE,
        "labels": [f"piece{number}" for number in range(PIECES)],
        "compute_eval_loss": False,
        "log_prediction": False,
        "skip_nan_grad": False,
        "model_defaults": {
            "enc_hidden": WIDTH,
            "pred_hidden": PREDICTION_WIDTH,
            "joint_hidden": PREDICTION_WIDTH,
            "tdt_durations": DURATIONS,
            "num_tdt_durations": len(DURATIONS),
        },
        "train_ds": None,
        "validation_ds": None,
        "test_ds": None,
        "preprocessor": PREPROCESSOR,
        "spec_augment": {"_target_": "nemo.collections.asr.modules.SpectrogramAugmentation", "freq_masks": 0},
        "encoder": ENCODER,
        "decoder": PREDICTION,
        "joint": JOINT,
        "decoding": {
            "strategy": "greedy",
            "model_type": "tdt",
            "durations": DURATIONS,
            "greedy": {"max_symbols": 10},
        },
        "loss": {
            "loss_name": "tdt_pytorch",
            "tdt_pytorch_kwargs": {"durations": DURATIONS, "sigma": 0.02, "omega": 0.1},
        },
        "aux_ctc": None,
        "optim": {"name": "adamw", "lr": 1e-3},
    }
