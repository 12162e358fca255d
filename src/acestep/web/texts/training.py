"""Texts of preprocessing, training and export."""

WORDS: dict[str, tuple[str, str]] = {
    "page.advanced": ("Advanced", "고급"),
    "preprocess.intro": (
        "Encodes the songs once: sound to latents, words to text states. Only what changed is done "
        "again.",
        "노래를 한 번만 인코딩합니다: 소리는 잠재값으로, 글은 텍스트 상태로. "
        "바뀐 것만 다시 합니다.",
    ),
    "preprocess.look": ("What would be done?", "무엇을 하게 되나요?"),
    "preprocess.start": ("Preprocess", "전처리"),
    "preprocess.todo.nothing": ("up to date", "최신"),
    "preprocess.todo.text": ("text again", "텍스트를 다시"),
    "preprocess.todo.audio_and_text": ("audio and text", "오디오와 텍스트"),
    "preprocess.todo.skipped": ("left out", "제외"),
    "train.intro": (
        "Load the tensors, let the songs and this machine choose the settings or choose them "
        "yourself, and start. Stop saves; Resume goes on to the bit.",
        "텐서를 불러오고, 설정을 노래와 이 컴퓨터에 맡기거나 직접 고른 뒤 시작하세요. "
        "중지하면 저장되고, 이어서 하면 한 비트도 다르지 않게 계속됩니다.",
    ),
    "train.load": ("Load Dataset", "데이터셋 불러오기"),
    "train.recommend": ("Recommend", "추천"),
    "train.expect": ("Expected cost", "예상 비용"),
    "train.start": ("Start Training", "학습 시작"),
    "train.resume": ("Resume", "이어서"),
    "train.progress": ("Training Progress", "학습 진행"),
    "train.log": ("Training Log", "학습 로그"),
    "train.plot": ("Training Loss Plot", "학습 손실 그래프"),
    "train.log_scale": ("Log scale", "로그 눈금"),
    "train.raw": ("Show raw steps", "원래 스텝 보이기"),
    "train.curve.loss": ("training", "학습"),
    "train.curve.smooth": ("training, smoothed", "학습 (평활)"),
    "train.curve.held_out": ("held-out", "검증"),
    "train.curve.base": ("base alone", "기본 모델만"),
    "train.loaded": (
        "{songs} songs, {minutes} min, tag “{tag}”, made with {model}",
        "{songs}곡, {minutes}분, 태그 “{tag}”, 모델 {model}",
    ),
    "train.expects": (
        "Expected: {memory}. Time: {time}. Disk: {disk}.",
        "예상: {memory}. 시간: {time}. 디스크: {disk}.",
    ),
    "train.checkpoints": ("Checkpoints", "체크포인트"),
    "train.listen": ("Listen", "들어 보기"),
    "train.listen.prompt": ("Test prompt", "시험 프롬프트"),
    "train.heard": ("What the checkpoint plays", "체크포인트의 소리"),
    "train.report": ("What did it learn? (evaluate)", "무엇을 배웠나요? (평가)"),
    "train.no_run": ("There is no run in this folder yet.", "이 폴더에는 아직 실행이 없습니다."),
    "export.intro": (
        "Writes a checkpoint as the file or folder that another program reads.",
        "체크포인트를 다른 프로그램이 읽는 파일이나 폴더로 씁니다.",
    ),
    "export.refresh": ("Refresh", "새로 고침"),
    "export.report": ("What did it learn?", "무엇을 배웠나요?"),
    "export.start": ("Export LoRA", "LoRA 내보내기"),
    "export.how": ("How to load it", "불러오는 방법"),
    "export.newest": ("newest", "가장 새것"),
}
