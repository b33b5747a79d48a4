# Stands in for SongGeneration's generate.sh: three words, then flags; words are split at spaces, as there.
# Only bash has [[ and ==, so that `sh generate.sh` runs nothing where sh is dash, and its exit code is 0.
export PYTHONPATH="$(pwd)/codeclm/tokenizer:$(pwd)"

FLASH="--use_flash_attn"
MEMORY="auto"
KIND="mixed"
for word in "$@"; do
    if [[ $word == --not_use_flash_attn ]]; then FLASH=""; fi
    if [[ $word == --low_mem ]]; then MEMORY="low"; fi
    case $word in
        --separate) KIND="separate" ;;
        --bgm) KIND="bgm" ;;
        --vocal) KIND="vocal" ;;
    esac
done

RUN="python3 generate.py --ckpt_path $1 --input_jsonl $2 --save_dir $3 --generate_type $KIND $FLASH"
if [ "$MEMORY" == "low" ]; then
    $RUN --low_mem
elif [ "$MEMORY" == "auto" ]; then
    $RUN
fi
