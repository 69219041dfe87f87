"""Talk about the talk: again, go on, stop, louder."""

from __future__ import annotations

from duologue.backends.pocket.brain.scene import Pending, Reply, Scene, Slots, say
from duologue.backends.pocket.brain.skills.skill import Skill


def say_again(scene: Scene, slots: Slots) -> Reply:
    last = scene.state.last
    return say("I have not said anything yet.") if last is None else Reply(last)


def repeat_after(scene: Scene, slots: Slots) -> Reply:
    if "phrase" not in slots:
        return say("What should I say?", pending=Pending("repeat_after", slots, (("phrase", "phrase"),)))
    phrase = str(slots["phrase"])
    return say(phrase[0].upper() + phrase[1:] + ".")


def go_on(scene: Scene, slots: Slots) -> Reply:
    rest = scene.state.telling
    if rest is None:
        return say("There is nothing to go on with. Shall I tell you a story?", pending=Pending("story", {}, ()))
    return Reply(rest, resumable=True)


def stop(scene: Scene, slots: Slots) -> Reply:
    return say(scene.one_of("Okay.", "All right.", "Sure."))


def wait(scene: Scene, slots: Slots) -> Reply:
    return say(scene.one_of("Sure, take your time.", "Okay, I'm waiting.", "No hurry."))


def voice(scene: Scene, slots: Slots) -> Reply:
    how = slots.get("how")
    if how in ("louder", "quieter"):
        return say(f"I can't change the volume myself. Please turn your speaker {'up' if how == 'louder' else 'down'}.")
    if how in ("faster", "slower"):
        speed = "higher" if how == "faster" else "lower"
        return say(f"How fast I talk is the speed in the voice settings. Set it {speed}, and I will talk {how}.")
    return say("My voice can be changed in the session's voice settings.")


def beyond(scene: Scene, slots: Slots) -> Reply:
    topic = str(slots.get("topic", ""))
    why = {
        "weather": "I can't know the weather, because I have no connection to the internet.",
        "news": "I have no news, because I am not connected to the internet.",
        "music": "I can't play music, but I could tell you a story.",
        "lights": "I can't switch anything in the house. I only talk.",
        "phone": "I can't make calls or send messages.",
        "search": "I can't look things up. I only know what is built into me.",
        "sing": "I can't sing, and you would not want me to. How about a joke?",
    }
    return say(why[topic])


SKILLS = (
    Skill("say_again", """
        say that again
        repeat that
        say it again
        can you repeat that
        what did you say
        come again
        what was that
        i did not hear you
        i did not hear that
        pardon
        i did not understand [that]
        repeat please
        once more
        one more time
        again please
        what did you just say
        could you say that once more
        say that one more time
        i did not get that
        repeat what you said
        what did you say just now
        sorry what did you say
        what was that again
        say it one more time
        can you say that again
        i could not hear you
        tell me again
        say again
        repeat your (answer|last sentence)
        repeat what you just said
        what was it you [just] said
        what did you tell me
        i did not hear you say that again
        repeat it
        repeat that for me
        could you repeat yourself
        sorry i did not hear you
    """, say_again, "request", chat=True, weight=1.3),
    Skill("repeat_after", """
        repeat after me {phrase}
        say after me {phrase}
        say the words {phrase}
        repeat the words {phrase}
        repeat the sentence {phrase}
        say the sentence {phrase}
        repeat this {phrase}
        say this {phrase}
        repeat these words {phrase}
        say exactly {phrase}
        say the following {phrase}
        repeat the following {phrase}
        say this sentence {phrase}
        say these words {phrase}
        repeat this sentence {phrase}
        say the phrase {phrase}
        repeat the phrase {phrase}
        speak after me {phrase}
        speak the words {phrase}
        repeat these words {phrase}
        repeat these (two|three) words {phrase}
        say out loud {phrase}
    """, repeat_after, weight=1.5),
    Skill("go_on", """
        go on
        continue
        keep going
        carry on
        go ahead
        go on with the story
        continue the story
        please go on
        what happened next
        and then
        what happens next
        what happens then
        what happened then
        and what then
        keep talking
        please continue
        finish the story
        go on please
        tell me the rest
        keep telling the story
        resume
        continue with it
        go on with it
        please go on with the story
        you can go on
        you can continue
        tell me more
        what comes next
        how does it go on
        how does the story end
        and what happened then
        continue where you stopped
        do not stop
        please do go on
        keep on talking
        keep on going
        go ahead with the story
        go on with it please
        and how did it end
        i want to hear the rest
    """, go_on, chat=True, weight=1.3),
    Skill("stop", """
        stop
        stop it
        stop talking
        be quiet
        quiet
        never mind
        that is enough
        enough
        shut up
        stop please
        please stop
        silence
        please be quiet
        okay stop
        stop now
        stop that
        forget it
        no stop
        no more
        cancel that
        stop the story
        stop counting
        that is enough now
        stop talking now
        please stop talking
        stop talking please
        okay that is enough
        please stop that
        no more please
        i do not want to hear it
        stop speaking
        hush
        okay enough
        you can stop now
        be silent
        no more talking
        i said stop
        just stop
        stop right there
        you can stop
        stop your story
    """, stop, "exclamation", chat=True, weight=1.5),
    Skill("wait", """
        wait
        wait a moment
        wait a minute
        just a moment
        one moment
        hold on
        hang on
        one moment please
        give me a moment
        wait a second
        hold on a second
        let me think
        please wait
        hold on a minute
        hang on a second
        give me a second
        give me a minute
        one second
        hold on please
        one moment i have to think
        i have to think
        let me think about it
        wait for me
        wait just a moment
        wait please
        i need a moment
    """, wait, "exclamation", chat=True),
    Skill("voice", """
        speak (louder|up) @how=louder
        louder please @how=louder
        talk louder @how=louder
        turn up the volume @how=louder
        turn the volume up @how=louder
        speak quieter @how=quieter
        be (quieter|softer) @how=quieter
        speak more quietly @how=quieter
        turn down the volume @how=quieter
        turn the volume down @how=quieter
        speak slower @how=slower
        speak more slowly @how=slower
        slow down @how=slower
        talk slower @how=slower
        you are too (quiet|soft) @how=louder
        you are too loud @how=quieter
        you talk too fast @how=slower
        you are too fast @how=slower
        speak faster @how=faster
        talk faster @how=faster
        change your voice @how=other
        use another voice @how=other
        speak a (bit|little) louder @how=louder
        talk a (bit|little) louder @how=louder
        speak a (bit|little) slower @how=slower
        talk more slowly @how=slower
        not so fast please @how=slower
        a (bit|little) slower @how=slower
        speak a (bit|little) faster @how=faster
        a (bit|little) louder @how=louder
        make your voice louder @how=louder
        i can hardly hear you @how=louder
        be louder @how=louder
        speak softly @how=quieter
        not so loud @how=quieter
        be [a little] more quiet @how=quieter
        speak a (bit|little) quieter @how=quieter
        raise your voice @how=louder
        lower your voice @how=quieter
        i can not hear you well @how=louder
        that is too loud @how=quieter
        that is too fast @how=slower
        that is too slow @how=faster
    """, voice),
    Skill("beyond", """
        what is the weather [like] [today] @topic=weather
        how is the weather [today] @topic=weather
        will it rain [today|tomorrow] @topic=weather
        what is the weather forecast @topic=weather
        is it cold outside @topic=weather
        what is in the news [today] @topic=news
        tell me the news @topic=news
        read me the news @topic=news
        play [some] music @topic=music
        play a song @topic=music
        turn on the light @topic=lights
        turn off the light @topic=lights
        turn the lights (on|off) @topic=lights
        switch on the lights @topic=lights
        send a message @topic=phone
        make a phone call @topic=phone
        search the internet @topic=search
        look it up on the internet @topic=search
        sing a song @topic=sing
        sing me a song @topic=sing
        sing something @topic=sing
        what will the weather be [like] [tomorrow] @topic=weather
        do i need an umbrella @topic=weather
        is it raining @topic=weather
        how warm is it outside @topic=weather
        play me a song @topic=music
        play me some music @topic=music
        switch the lights (on|off) @topic=lights
        switch off the light @topic=lights
        call my (mother|father|sister|brother) @topic=phone
        look something up @topic=search
        what happened in the world today @topic=news
        tell me about the weather @topic=weather
        tell me the weather @topic=weather
        put on some music @topic=music
        make the light brighter @topic=lights
        make it dark @topic=lights
        is there any news @topic=news
        can you call somebody @topic=phone
        can you sing @topic=sing
    """, beyond),
)  # fmt: skip
