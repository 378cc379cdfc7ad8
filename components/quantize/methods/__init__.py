"""One file is one method of quantization; its class `Method` holds the fields of its entry in params.yaml and writes its model."""
