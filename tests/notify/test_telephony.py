"""Text messages and calls through the providers' own SDKs, against HTTP servers that answer as their documents say."""

import json
import logging
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import BadInput
from hub.model import Exercise, SignalClass
from hub.notify import Outcome, deliver, open_channel, parse_settings
from hub.notify.telephony import Arrival, Phone, spoken
from hub.notify.tencent import reported
from hub.profiles import Title
from tests.notify.letters import MESSAGE
from tests.paging import Receiver, receiver

NUMBER = "13912345678"
ID, KEY = "hidden-id-0123456", "hidden-key-0123456"
SENT_AT = datetime(2026, 11, 21, 17, 30, tzinfo=UTC)  # the 22nd in Beijing
SETTINGS: dict[str, dict[str, Any]] = {
    "sms_aliyun": {
        "access_key_id": ID,
        "access_key_secret": KEY,
        "sign_name": "安心托育",
        "parameters": {"what": "title", "where": "institution", "place": "place", "do": "response"},
    },
    "voice_aliyun": {
        "access_key_id": ID,
        "access_key_secret": KEY,
        "parameters": {"what": "title", "where": "institution"},
        "play_times": 3,
    },
    "sms_tencent": {
        "secret_id": ID,
        "secret_key": KEY,
        "app_id": "1400006666",
        "sign_name": "安心托育",
        "parameters": ["title", "institution", "place", "response"],
    },
    "voice_tencent": {
        "secret_id": ID,
        "secret_key": KEY,
        "app_id": "1400006666",
        "parameters": ["title", "institution"],
    },
}
TAKEN = {
    "sms_aliyun": '{"Message":"OK","RequestId":"F655A8D5","Code":"OK","BizId":"9006197469364984^0"}',
    "voice_aliyun": '{"Code":"OK","Message":"OK","RequestId":"D9CB3933","CallId":"116012354148^102813140236"}',
    "sms_tencent": '{"Response":{"SendStatusSet":[{"SerialNo":"5000:10457106691570536578","PhoneNumber":"+8613912345678","Fee":1,"SessionContext":"","Code":"Ok","Message":"send success","IsoCode":"CN"}],"RequestId":"a0aabda6"}}',
    "voice_tencent": '{"Response":{"SendStatus":{"CallId":"7ebd0a3c","SessionContext":""},"RequestId":"9ae33a1f"}}',
}
REFUSED = {
    "sms_aliyun": '{"Message":"13912345678 out","RequestId":"1","Code":"isv.BUSINESS_LIMIT_CONTROL"}',
    "voice_aliyun": '{"Message":"13912345678 out","RequestId":"1","Code":"isv.BUSINESS_LIMIT_CONTROL"}',
    "sms_tencent": '{"Response":{"SendStatusSet":[{"SerialNo":"","PhoneNumber":"+8613912345678","Fee":0,"Code":"LimitExceeded.PhoneNumberDailyLimit","Message":"13912345678 out"}],"RequestId":"1"}}',
    "voice_tencent": '{"Response":{"Error":{"Code":"LimitExceeded.PhoneNumberDailyLimit","Message":"13912345678 out"},"RequestId":"1"}}',
}
KINDS = sorted(SETTINGS)


def phone(kind: str, hook: Receiver | None = None, **more: Any) -> Phone:
    settings = {"number": NUMBER, "template": "SMS_154950909" if "aliyun" in kind else "1234", **SETTINGS[kind], **more}
    if hook is not None:
        settings["endpoint"] = f"127.0.0.1:{hook.port}"
    channel = open_channel(kind, settings, "here", allow_loopback=True)
    assert isinstance(channel, Phone)
    return channel


def told(kind: str, hook: Receiver, n: int = 0) -> tuple[dict[str, Any], list[str]]:
    """What the provider was asked, and the parameters of the template."""
    request = hook.requests[n]
    if "aliyun" in kind:
        query: dict[str, Any] = {key: value[0] for key, value in parse_qs(urlsplit(request.path).query).items()}
        return query, list(json.loads(query["TemplateParam" if kind == "sms_aliyun" else "TtsParam"]).values())
    body = json.loads(request.body)
    return body, body["TemplateParamSet"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_message_goes_out_with_number_template_and_parameters_and_is_named_by_the_provider(kind: str) -> None:
    async with receiver(TAKEN[kind]) as hook:
        receipt = await deliver(phone(kind, hook), MESSAGE)
    assert receipt.outcome is Outcome.DELIVERED
    names = {
        "sms_aliyun": "9006197469364984^0",
        "voice_aliyun": "116012354148^102813140236",
        "sms_tencent": "5000:10457106691570536578",
    }
    assert receipt.provider_id == names.get(kind, "")
    asked, words = told(kind, hook)
    assert words[:2] == ["紧急按钮被按下", "星星托育园"]
    expected: dict[str, dict[str, Any]] = {
        "sms_aliyun": {
            "PhoneNumbers": NUMBER,
            "SignName": "安心托育",
            "TemplateCode": "SMS_154950909",
            "OutId": str(MESSAGE.id),
        },
        "voice_aliyun": {"CalledNumber": NUMBER, "TtsCode": "SMS_154950909", "PlayTimes": "3"},
        "sms_tencent": {
            "PhoneNumberSet": [f"+86{NUMBER}"],
            "SmsSdkAppId": "1400006666",
            "SignName": "安心托育",
            "TemplateId": "1234",
        },
        "voice_tencent": {
            "CalledNumber": f"+86{NUMBER}",
            "VoiceSdkAppid": "1400006666",
            "TemplateId": "1234",
            "PlayTimes": 2,
        },
    }
    assert asked.items() >= expected[kind].items()
    action = {
        "sms_aliyun": "SendSms",
        "voice_aliyun": "SingleCallByTts",
        "sms_tencent": "SendSms",
        "voice_tencent": "SendTtsVoice",
    }
    headers = hook.requests[0].headers
    assert action[kind] in (headers.get("x-acs-action"), headers.get("x-tc-action"))


@pytest.mark.parametrize("kind", KINDS)
async def test_an_exercise_is_marked_wherever_it_could_be_taken_for_real(kind: str) -> None:
    async with receiver(TAKEN[kind], TAKEN[kind]) as hook:
        await deliver(phone(kind, hook), MESSAGE._replace(exercise=Exercise.DRILL))
        await deliver(phone(kind, hook), MESSAGE._replace(exercise=Exercise.PROOF))
    for n, mark in enumerate(("演练DRILL ", "测试TEST ")):
        _, words = told(kind, hook, n)
        assert words[0] == f"{mark}紧急按钮被按下"
        assert "response" not in str(SETTINGS[kind]["parameters"]) or words[-1].startswith(mark)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_phone_is_told_names_no_person_no_device_and_no_link(kind: str) -> None:
    message = MESSAGE._replace(responder_title=Title(zh="王小明", en="Wang"), device="cam-of-li")
    async with receiver(TAKEN[kind]) as hook:
        await deliver(phone(kind, hook), message)
    _, words = told(kind, hook)
    for part in ("王小明", "Wang", "cam-of-li", "guard", "https://"):
        assert part not in " ".join(words)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "answer", ["refused", "400", "500", "reset", "nonsense", "{}", "[]", '{"Response":{}}', '{"Code":17}']
)
async def test_what_the_provider_did_not_take_is_no_delivery_and_nothing_of_its_text_is_kept(
    kind: str, answer: str
) -> None:
    async with receiver(REFUSED[kind] if answer == "refused" else answer) as hook:
        receipt = await deliver(phone(kind, hook), MESSAGE)
    assert receipt.outcome is Outcome.FAILED
    assert receipt.provider_id == ""
    if answer == "refused":
        assert receipt.detail.startswith("the provider's limit for this number (")
    for secret in (NUMBER, ID, KEY, "answer-body"):
        assert secret not in receipt.detail


@pytest.mark.parametrize("kind", ["sms_aliyun", "voice_aliyun"])
async def test_an_error_that_comes_with_a_status_of_its_own_is_told_by_its_code(kind: str) -> None:
    refusal = {"Code": "InvalidAccessKeyId.NotFound", "Message": f"{ID} is not found", "RequestId": "1", "HostId": "x"}
    async with receiver("404" + json.dumps(refusal)) as hook:
        receipt = await deliver(phone(kind, hook), MESSAGE)
    assert receipt.outcome is Outcome.FAILED
    assert receipt.detail == "the access key is not known (InvalidAccessKeyId.NotFound)"
    assert len(hook.requests) == 1


async def test_a_number_that_is_none_is_not_called_again() -> None:
    async with receiver('{"Code":"isv.MOBILE_NUMBER_ILLEGAL","Message":"x","RequestId":"1"}') as hook:
        receipt = await deliver(phone("sms_aliyun", hook), MESSAGE)
    assert (receipt.outcome, receipt.detail) == (Outcome.REFUSED, "the number is none (isv.MOBILE_NUMBER_ILLEGAL)")


@pytest.mark.parametrize("kind", ["sms_aliyun", "sms_tencent"])
async def test_a_provider_that_hangs_costs_no_more_than_its_time(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"hub.notify.{kind.partition('_')[2]}.READ_SECONDS", 1)
    async with receiver("hang") as hook:
        receipt = await deliver(phone(kind, hook), MESSAGE)
    assert receipt.outcome is Outcome.FAILED
    assert receipt.detail.startswith(("the provider was not reached", "no answer within"))


def detail(status: int, code: str = "DELIVERED") -> str:
    row = {
        "SendStatus": status,
        "ErrCode": code,
        "PhoneNum": NUMBER,
        "Content": "【安心】…",
        "SendDate": "2026-11-22 01:30:05",
    }
    return json.dumps(
        {
            "Code": "OK",
            "Message": "OK",
            "RequestId": "1",
            "TotalCount": "1",
            "SmsSendDetailDTOs": {"SmsSendDetailDTO": [row]},
        }
    )


def called(**data: Any) -> str:
    return json.dumps({"Code": "OK", "Message": "OK", "RequestId": "1", "Data": json.dumps(data)})


def pulled(status: str, serial: str = "5000:1", description: str = "DELIVRD") -> str:
    row = {"SerialNo": serial, "ReportStatus": status, "Description": description, "PhoneNumber": f"+86{NUMBER}"}
    return json.dumps({"Response": {"PullSmsSendStatusSet": [row], "RequestId": "1"}})


@pytest.mark.parametrize(
    ("kind", "answer", "arrival", "says"),
    [
        ("sms_aliyun", detail(3), Arrival.ARRIVED, ""),
        (
            "sms_aliyun",
            detail(2, "MOBILE_NOT_ON_SERVICE"),
            Arrival.NOT_ARRIVED,
            "the carrier did not deliver it (MOBILE_NOT_ON_SERVICE)",
        ),
        ("sms_aliyun", detail(2, f"bad {NUMBER}"), Arrival.NOT_ARRIVED, "the carrier did not deliver it"),
        ("sms_aliyun", detail(1), Arrival.PENDING, ""),
        ("sms_aliyun", '{"Code":"OK","SmsSendDetailDTOs":{"SmsSendDetailDTO":[]}}', Arrival.PENDING, ""),
        (
            "voice_aliyun",
            called(state="200000", duration="17", endDate="2026-11-22 01:31:00"),
            Arrival.ARRIVED,
            "answered",
        ),
        (
            "voice_aliyun",
            called(state="200003", duration=0, endDate="2026-11-22 01:31:00"),
            Arrival.NOT_ARRIVED,
            "nobody answered the call (200003)",
        ),
        (
            "voice_aliyun",
            called(state="200001", duration="3", endDate="2026-11-22 01:31:00", dtmf="1"),
            Arrival.ARRIVED,
            "answered, key 1 was pressed",
        ),
        (
            "voice_aliyun",
            called(state="200005", duration=0, endDate="2026-11-22 01:31:00"),
            Arrival.NOT_ARRIVED,
            "nobody answered the call (200005)",
        ),
        ("voice_aliyun", called(state="", duration=0), Arrival.PENDING, ""),
        ("voice_aliyun", '{"Code":"OK","Data":"not json"}', Arrival.PENDING, ""),
        ("sms_tencent", pulled("SUCCESS"), Arrival.ARRIVED, ""),
        ("sms_tencent", pulled("FAIL", description="MK:0001"), Arrival.NOT_ARRIVED, "the carrier did not deliver it"),
        (
            "sms_tencent",
            pulled("FAIL", description="UNDELIV"),
            Arrival.NOT_ARRIVED,
            "the carrier did not deliver it (UNDELIV)",
        ),
        ("sms_tencent", pulled("SUCCESS", serial="5000:2"), Arrival.PENDING, ""),
    ],
)
async def test_what_became_of_it_is_asked_for(kind: str, answer: str, arrival: Arrival, says: str) -> None:
    async with receiver(answer) as hook:
        found = await phone(kind, hook).confirm("5000:1", SENT_AT)
    assert found == (arrival, says)
    if kind == "sms_aliyun":
        query = parse_qs(urlsplit(hook.requests[0].path).query)
        assert (query["SendDate"], query["BizId"], query["PhoneNumber"]) == (["20261122"], ["5000:1"], [NUMBER])


@pytest.mark.parametrize("kind", ["sms_aliyun", "voice_aliyun", "sms_tencent"])
@pytest.mark.parametrize("answer", ["500", "reset", "nonsense", "{}", "[]"])
async def test_a_question_that_is_not_answered_decides_nothing(kind: str, answer: str) -> None:
    async with receiver(answer) as hook:
        assert (await phone(kind, hook).confirm("5000:1", SENT_AT)).arrival is Arrival.PENDING


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"number": "not-a-number-hidden"}, "number: digits"),
        ({"number": "110"}, "number: digits"),
        ({"number": "+8612110"}, "number: an authority's number is no responder"),
        ({"endpoint": "evil.example"}, "endpoint: a host below"),
        ({"endpoint": "evil.example/.aliyuncs.com"}, "endpoint: a host below"),
        ({"template": "${x}"}, "template: "),
        ({"parameters": {"a": "place"}}, "parameters"),
        ({"hidden": KEY}, "hidden: Extra"),
    ],
)
def test_settings_that_do_not_hold_are_refused_by_key_without_their_values(
    kind: str, change: dict[str, Any], says: str
) -> None:
    if change.get("endpoint") == "evil.example/.aliyuncs.com" and "tencent" in kind:
        change = {"endpoint": "evil.example/.tencentcloudapi.com"}
    given = {"number": NUMBER, "template": "1234", **SETTINGS[kind], **change}
    with pytest.raises(BadInput) as caught:
        parse_settings(kind, given, "responder head: channels.phone")
    if "parameters" not in change:
        assert says in str(caught.value)
    for secret in (NUMBER, KEY, ID, "not-a-number-hidden"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_that_could_not_say_that_it_is_an_exercise_is_refused(kind: str) -> None:
    words: Any = {"a": "place"} if "aliyun" in kind else ["place"]
    given = {"number": NUMBER, "template": "1234", **SETTINGS[kind], "parameters": words}
    with pytest.raises(BadInput, match="one parameter must be title: it carries the mark of an exercise"):
        parse_settings(kind, given, "here")


@pytest.mark.parametrize(
    "number",
    ["+86110", "86119", "0086110", "0355110", "010119", "+86355110", "008610119", "12110", "02112119"],
)
def test_an_authoritys_number_is_no_responders_however_it_is_dialled(number: str) -> None:
    with pytest.raises(BadInput, match="an authority's number is no responder"):
        phone("sms_aliyun", number=number)


@pytest.mark.parametrize("number", ["13812345110", "03551234119", "+8613900000120", "661110", "6655119", "95110"])
def test_a_number_that_only_ends_like_an_authoritys_is_somebodys(number: str) -> None:
    phone("sms_aliyun", number=number)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_hub_that_allows_no_loopback_does_not_speak_to_itself(kind: str) -> None:
    async with receiver(TAKEN[kind]) as hook:
        given = {"number": NUMBER, "template": "1234", **SETTINGS[kind], "endpoint": f"127.0.0.1:{hook.port}"}
        channel = open_channel(kind, given, "here", allow_loopback=False)
        assert (await deliver(channel, MESSAGE)).outcome is Outcome.REFUSED
    assert hook.requests == []


@pytest.mark.parametrize("kind", KINDS)
async def test_no_number_and_no_key_is_in_any_receipt_log_or_repr(
    kind: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = parse_settings(kind, {"number": NUMBER, "template": "1234", **SETTINGS[kind]}, "here")
    seen = [repr(settings), str(settings), repr(settings.shown()), settings.model_dump_json()]
    echo = json.dumps(
        {"Code": ID, "Message": KEY, "Response": {"Error": {"Code": ID, "Message": NUMBER}, "RequestId": KEY}}
    )
    for answer in (TAKEN[kind], REFUSED[kind], echo, "500", "reset"):
        async with receiver(answer) as hook:
            sender = phone(kind, hook)
            seen += [repr(sender), repr(await deliver(sender, MESSAGE))]
    seen += [record.getMessage() for record in caplog.records]
    seen += list(capfd.readouterr())
    for part in seen:
        assert NUMBER not in part
        assert ID not in part
        assert KEY not in part


@given(
    st.text(max_size=400),
    st.text(max_size=400),
    st.sampled_from([None, *Exercise]),
    st.integers(min_value=12, max_value=60),
    st.sampled_from(SignalClass),
)
def test_a_parameter_fits_and_keeps_its_mark_whatever_is_in_a_title(
    title: str, response: str, exercise: Exercise | None, most: int, signal_class: SignalClass
) -> None:
    words = Title.model_construct(zh=title, en="x"), Title.model_construct(zh=response, en="x")
    message = MESSAGE._replace(title=words[0], response=words[1], exercise=exercise, signal_class=signal_class)
    said = spoken(message, ["title", "response", "class", "time"], most)
    for part in said:
        assert 0 < len(part) <= most
        assert not set(part) & set("【】[]{}<>$\n\r")
        assert "http" not in part or "://" not in part
    if exercise is not None:
        assert all(part.startswith(("演练DRILL", "测试TEST")) for part in said[:3])


CALL = {"callid": "call-7", "mobile": NUMBER, "nationcode": "86", "call_from": "075500000000"}


@pytest.mark.parametrize(
    ("name", "more", "arrival", "says"),
    [
        ("voiceprompt_callback", {"result": "0"}, Arrival.ARRIVED, "answered"),
        ("voiceprompt_callback", {"result": "1"}, Arrival.NOT_ARRIVED, "nobody answered the call"),
        ("voiceprompt_callback", {"result": 2}, Arrival.NOT_ARRIVED, "the call did not come about"),
        ("voicekey_callback", {"keypress": "2"}, Arrival.ARRIVED, "answered, key 2 was pressed"),
    ],
)
def test_what_tencent_calls_back_says_what_became_of_a_call(
    name: str, more: dict[str, object], arrival: Arrival, says: str
) -> None:
    found = reported({name: CALL | more})
    assert found == ("call-7", (arrival, says), name == "voicekey_callback")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["voiceprompt_callback", "voicekey_callback", "callid", "result", "keypress", "x"]), inner
        )
    ),
    max_leaves=10,
)


@given(json_values)
def test_whatever_else_is_posted_says_nothing_or_something_of_a_call(document: object) -> None:
    found = reported(document)
    assert found is None or (found.provider_id and found.confirmation.arrival is not Arrival.PENDING)


async def test_a_call_by_tencent_keeps_its_name_only_where_somebody_may_call_back() -> None:
    for secret, name in (({}, ""), ({"callback_secret": "s" * 40}, "dd2db5f8-e4b2-4b8e-9a0d-0c9c5c4b6e6f")):
        answer = json.dumps(
            {"Response": {"SendStatus": {"CallId": "dd2db5f8-e4b2-4b8e-9a0d-0c9c5c4b6e6f"}, "RequestId": "1"}}
        )
        async with receiver(answer) as hook:
            found = await phone("voice_tencent", hook, **secret).send(MESSAGE)
            assert (found.outcome, found.provider_id) == (Outcome.DELIVERED, name)
            assert (await phone("voice_tencent", hook, **secret).confirm("x", SENT_AT)).arrival is Arrival.PENDING
