"""The language of lyrics: real sentences of every language of the model, mixed, short and none."""

import subprocess
import sys

import pytest

from acestep.data.labels import LANGUAGES
from acestep.labellers.language import language_of

LINES = {
    "ar": "أنا أحبك يا حبيبي\nوالليل طويل بدونك",
    "az": "Mən səni çox sevirəm\ngecələr ulduzlara baxıram",
    "bg": "Обичам те безкрайно много\nнощта е тиха и вали дъжд",
    "bn": "আমি তোমাকে ভালোবাসি\nআকাশে চাঁদ উঠেছে",
    "ca": "T'estimo més que a la meva vida\ni aquesta nit vull ballar amb tu",
    "cs": "Miluji tě víc než celý svět\na v noci slyším tvůj hlas",
    "da": "Jeg kan ikke sove i nat\nfordi du ikke er hos mig længere",
    "de": "Ich gehe heute Nacht durch die leeren Straßen\nund niemand ruft nach mir",
    "el": "Σ' αγαπώ πιο πολύ από τη ζωή μου\nκαι η νύχτα είναι μεγάλη",
    "en": "I'm walking down the empty street tonight\nand nobody is calling my name",
    "es": "Quiero bailar contigo toda la noche\nmi corazón te está buscando",
    "fa": "دوستت دارم ای جان من\nامشب ماه در آسمان است",
    "fi": "Minä rakastan sinua enemmän kuin elämää\nja yö on pitkä ja pimeä",
    "fr": "Je marche seul dans les rues vides\net personne ne connaît mon nom",
    "he": "אני אוהב אותך יותר מכל\nוהלילה כל כך ארוך",
    "hi": "मैं तुमसे बहुत प्यार करता हूँ\nआज की रात बहुत लंबी है",
    "hr": "Volim te više nego išta na ovom svijetu\ni čekam te uvijek na istome mjestu",
    "ht": "Mwen renmen ou anpil cheri\nkè mwen se pou ou l ap bat",
    "hu": "Szeretlek téged jobban mint az életem\nés az éjszaka hosszú nélküled",
    "id": "Aku mencintaimu selamanya\nhatiku hanya untukmu malam ini",
    "is": "Ég elska þig meira en allt\nog nóttin er löng og dimm án þín",
    "it": "Ti voglio bene più della mia vita\ne questa notte non finisce mai",
    "ja": "夜空に星が輝いている\n君のことを想っているよ",
    "ko": "너를 사랑해 오늘 밤에\n별빛 아래 우리 둘이 춤을 춰",
    "la": "Gloria in excelsis Deo\net in terra pax hominibus bonae voluntatis",
    "lt": "Aš tave myliu labiau už gyvenimą\nir naktis tokia ilga be tavęs",
    "ms": "Saya cintakan awak selama-lamanya\nkerana hati ini milik awak sahaja",
    "ne": "म तिमीलाई धेरै माया गर्छु\nआज रात धेरै लामो छ",
    "nl": "Ik loop vannacht door de lege straten\nen niemand roept mijn naam",
    "no": "Jeg får ikke sove i natt\nfordi du ikke er hos meg lenger nå",
    "pa": "ਮੈਂ ਤੈਨੂੰ ਬਹੁਤ ਪਿਆਰ ਕਰਦਾ ਹਾਂ\nਅੱਜ ਦੀ ਰਾਤ ਲੰਮੀ ਹੈ",
    "pl": "Kocham cię bardziej niż życie\ni noc jest taka długa bez ciebie",
    "pt": "Eu não consigo dormir esta noite\nporque você não está mais aqui comigo",
    "ro": "Te iubesc mai mult decât viața mea\nși noaptea este lungă fără tine",
    "ru": "Я люблю тебя больше жизни\nи эта ночь такая длинная без тебя",
    "sa": "अहं त्वां स्मरामि नित्यम्\nधर्मो रक्षति रक्षितः सत्यमेव जयते",
    "sk": "Milujem ťa viac ako celý svet\na v noci počujem tvoj hlas",
    "sr": "Волим те више од живота\nи ова ноћ је дуга без тебе",
    "sv": "Jag älskar dig mer än livet\noch natten är så lång utan dig",
    "sw": "Nakupenda sana mpenzi wangu\nna moyo wangu ni wako usiku huu",
    "ta": "நான் உன்னை காதலிக்கிறேன்\nஇந்த இரவு நீளமானது",
    "te": "నేను నిన్ను ప్రేమిస్తున్నాను\nఈ రాత్రి చాలా పొడవుగా ఉంది",
    "th": "ฉันรักเธอมากที่สุด\nคืนนี้ฉันคิดถึงเธอ",
    "tl": "Mahal na mahal kita\nat ang gabing ito ay para sa ating dalawa",
    "tr": "Seni hayatımdan çok seviyorum\nve bu gece sensiz çok uzun",
    "uk": "Я кохаю тебе більше за життя\nі ця ніч така довга без тебе",
    "ur": "میں تم سے بہت پیار کرتا ہوں\nآج کی رات بہت لمبی ہے",
    "vi": "Anh yêu em nhiều hơn cuộc sống này\nvà đêm nay thật dài khi không có em",
    "yue": "我哋一齊行落去，唔好喊啦\n佢話佢唔識嘢",
    "zh": "我爱你胜过我的生命\n今天晚上的月亮很圆",
}


def test_every_language_of_the_model_has_its_lines():
    assert LINES.keys() == LANGUAGES - {"unknown"}


@pytest.mark.parametrize("code", LINES)
def test_lyrics_in_each_language_are_known(code):
    estimate = language_of(f"[Verse 1]\n{LINES[code]}\n\n[Chorus]\nOh, la la la\n(yeah, yeah)")
    assert (estimate.value, estimate.source) == (code, "lyrics"), estimate
    assert estimate.confidence >= 0.5 and estimate.runner_up != code


@pytest.mark.parametrize(
    ("lyrics", "first", "second"),
    [
        ("너를 사랑해 오늘 밤\nbaby hold me tonight\n별빛 아래 우리 둘이\n춤을 춰", "ko", "en"),
        ("You and I under the neon light\nwe will never say goodbye\n사랑해 baby", "en", "ko"),
        ("Quiero bailar contigo toda la noche\nbaby let me love you tonight\n"
         "mi corazón te está buscando", "es", "en"),
        ("夜空に星が輝いている\nI will never let you go\n君のことを想っているよ", "ja", "en"),
        ("我爱你胜过我的生命\n今天晚上的月亮很圆\nforever and ever with you", "zh", "en"),
    ],
)  # fmt: skip
def test_of_two_languages_the_one_with_more_words_comes_first(lyrics, first, second):
    estimate = language_of(lyrics)
    assert (estimate.value, estimate.runner_up) == (first, second)
    assert estimate.confidence < language_of(lyrics.split("\n")[0]).confidence


def test_confidence_falls_with_the_share_of_the_words():
    korean, english = "너를 사랑해 오늘 밤\n", "I will never ever let you go\n"
    shares = [language_of(korean * (6 - count) + english * count) for count in range(3)]
    assert [one.value for one in shares] == ["ko"] * 3
    assert shares[0].confidence > shares[1].confidence > shares[2].confidence


@pytest.mark.parametrize(
    "lyrics",
    ["", "  \n ", "[Instrumental]", "[Verse 1]\n[Chorus]", "La la la\nOh, oh, oh!\nna-na-na hey",
     "ラララ", "ла ла ла", "라라라 오오", "123 456", "♪ ♫", "…", "😀", "\ud800",
     "asdf qwer zxcv\nblorp fnagle wibbet snurk", "xyzzy", "hello"],
)  # fmt: skip
def test_what_has_too_few_words_or_none_is_unknown(lyrics):
    estimate = language_of(lyrics)
    assert (estimate.value, estimate.confidence) == ("unknown", 0.0)


@pytest.mark.parametrize(
    ("lyrics", "nearest"),
    [
        ("O galego é a miña lingua e a miña casa", "pt"),
        ("Mae hen wlad fy nhadau yn annwyl i mi, gwlad beirdd a chantorion", None),
        ("მე შენ მიყვარხარ ძალიან", None),
    ],
)
def test_a_language_the_model_has_no_code_for_is_unknown(lyrics, nearest):
    estimate = language_of(lyrics)
    assert estimate.value == "unknown" and nearest in (None, estimate.runner_up)


def test_marks_and_vocables_are_no_evidence():
    words = "Je marche seul dans les rues vides\nla vie est belle quand tu es là"
    dressed = (
        f"[Verse 1 - with a very long English description of it]\n{words}\n" + "oh la la\n" * 9
    )
    assert language_of(dressed).value == "fr"
    assert language_of(dressed).confidence == pytest.approx(language_of(words).confidence, abs=0.05)


def test_a_whole_book_is_read_and_nothing_is_loaded_before_it_is_needed():
    assert language_of("I'm walking down the empty street tonight\n" * 2000).value == "en"
    code = "import sys, acestep.labellers.language; print('py3langid' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=180)
    assert done.stdout == "False\n", done.stderr
