"""Small talk: the words that keep two people company."""

from __future__ import annotations

from duologue.backends.pocket.brain.scene import Pending, Reply, Scene, Slots, say
from duologue.backends.pocket.brain.skills.skill import Skill


def _named(scene: Scene) -> str:
    name = scene.state.facts.get("name")
    return f", {name.title()}" if name else ""


def hello(scene: Scene, slots: Slots) -> Reply:
    hour, you = scene.now.hour, _named(scene)
    part = "Good morning" if 4 <= hour < 12 else "Good afternoon" if hour < 18 else "Good evening"
    if hour < 4:
        part = "Hello"
    return say(
        scene.one_of(
            f"Hello{you}! What can I do for you?", f"Hi{you}! Nice to hear you.", f"{part}{you}! How can I help?"
        )
    )


def how_are_you(scene: Scene, slots: Slots) -> Reply:
    return say(
        scene.one_of(
            "I'm well, thank you. How are you?",
            "Very well, thanks for asking. And you?",
            "All my parts are working, so I'm happy. How are you doing?",
        )
    )


def feeling_well(scene: Scene, slots: Slots) -> Reply:
    return say(scene.one_of("I'm glad to hear that.", "That's good to hear!", "Lovely. What can I do for you?"))


def feeling_low(scene: Scene, slots: Slots) -> Reply:
    text = scene.one_of(
        "I'm sorry to hear that. Would a story help a little?",
        "Oh, that's a pity. Shall I tell you a joke?",
        "I'm sorry. Take it easy. Would you like to hear a story?",
    )
    return say(text, pending=Pending("joke" if "joke" in text else "story", {}, ()))


def thanks(scene: Scene, slots: Slots) -> Reply:
    return say(scene.one_of("You're welcome!", "My pleasure.", "Any time.", "Happy to help."))


def goodbye(scene: Scene, slots: Slots) -> Reply:
    return say(scene.one_of(f"Goodbye{_named(scene)}!", "Bye! Talk to you soon.", "See you later!"))


def yes(scene: Scene, slots: Slots) -> Reply:
    return say(scene.one_of("Good. What would you like?", "Great. Tell me what to do.", "All right. I'm listening."))


def no(scene: Scene, slots: Slots) -> Reply:
    return say(scene.one_of("All right.", "Okay, no problem.", "Fine. Just tell me if you need something."))


def okay(scene: Scene, slots: Slots) -> Reply:
    return say(scene.one_of("Good.", "Okay. Anything else?", "All right."))


def compliment(scene: Scene, slots: Slots) -> Reply:
    return say(scene.one_of("Thank you, that's kind!", "Oh, thank you!", "That makes me happy, thank you."))


def complaint(scene: Scene, slots: Slots) -> Reply:
    return say(
        scene.one_of(
            "I'm sorry. I'm only a small program. Could you put it another way?",
            "Sorry about that. Tell me again, and I'll try to do better.",
            "I'm sorry, I make mistakes. Please say it once more.",
        )
    )


def apology(scene: Scene, slots: Slots) -> Reply:
    return say(scene.one_of("No problem at all.", "That's all right.", "Don't worry about it."))


def presence(scene: Scene, slots: Slots) -> Reply:
    return say(scene.one_of("Yes, I can hear you.", "I'm here, and I'm listening.", "Yes, loud and clear."))


def affection(scene: Scene, slots: Slots) -> Reply:
    return say(scene.one_of("That's very sweet of you.", "I like talking with you too.", "How nice of you to say."))


SKILLS = (
    Skill("hello", """
        hello
        hello there
        hey there
        hey
        hello duologue
        hello pocket
        good morning
        good afternoon
        good evening
        greetings
        nice to meet you
        pleased to meet you
        hello again
        hi there
        hi
        hello everybody
        hello my friend
        good day
        good to hear you
        a good morning to you
        welcome
        a very good (morning|evening)
        hello nice to (meet|hear) you
        hello how nice
    """, hello, "exclamation"),
    Skill("how_are_you", """
        how are you
        how are you [doing] today
        how are you doing
        how do you do
        how do you feel
        how are you feeling
        how is it going
        how are things
        are you okay
        are you well
        how is your day
        how was your day
        what is up
        hello how are you
        is everything okay
        how are you this (morning|evening)
        how have you been
        are you doing well
        how is life
        how is your day going
        are you all right
        is everything (well|okay|fine) with you
        how are you these days
        what about you
        and how about you
    """, how_are_you, "exclamation"),
    Skill("feeling_well", """
        i am (fine|good|great|well|okay)
        i am (fine|good|well) thank you
        i am doing (well|fine|great)
        i feel (good|great)
        i am very well
        very well thank you
        not bad
        i am happy
        i am (fine|good) and you
        i am feeling (good|great|fine)
        pretty good
        i am doing very well
        i am all right
        i am very good
        i feel very good
        i could not be better
        i feel wonderful
        my day was (good|great)
        today i feel (good|great|wonderful)
        i am feeling (really|very) good
        i am feeling wonderful
        everything is (fine|good|great)
    """, feeling_well, "statement", chat=True),
    Skill("feeling_low", """
        i am (sad|tired|bored|lonely|sick)
        i am so (bored|tired|sad)
        i am not (well|good|happy)
        i feel (bad|sad|sick|lonely)
        i am not feeling well
        i am feeling (sad|bad|lonely)
        i am bored
        i do not feel well
        i had a bad day
        not so good
        cheer me up
        i am very (tired|sad)
        i am a little (sad|tired)
        today was a hard day
        it was a bad day
        i feel terrible
        i am not doing (well|good|so well)
        i am not so well
        i feel so alone
        i am unhappy
        i do not feel (good|great)
        i am bored and tired
        i feel very (lonely|sad|tired)
        life is hard
        nothing is going well
    """, feeling_low, "statement", chat=True),
    Skill("thanks", """
        thank you
        thanks
        thank you very much
        thanks a lot
        many thanks
        thank you so much
        thanks for (that|your help)
        thank you for (your help|that)
        great thanks
        okay thank you
        that was helpful thank you
        thank you my friend
        thank you for helping me
        thanks very much
        thank you for the (story|joke|help)
        i thank you
        that was very kind
        thank you for (telling|showing) me
        i want to thank you
        that is nice of you thank you
        thanks a million
        that is great thank you
    """, thanks, "exclamation", chat=True),
    Skill("goodbye", """
        goodbye
        bye
        bye bye
        good night
        see you [later|soon|tomorrow]
        see you
        i have to go
        i am leaving [now]
        talk to you later
        have a (nice|good) day
        that is all for today
        until next time
        goodbye for now
        i must go now
        have a good (night|evening)
        i have to leave
        i need to go
        i am going now
        see you next time
        see you again
        bye for now
        until tomorrow
        we can stop here for today
        it is time to (say goodbye|go)
        goodbye and have a nice day
        let us say goodbye
        i am off now
        time to go now
    """, goodbye, "exclamation", chat=True),
    Skill("yes", """
        yes
        yes please
        sure
        of course
        yes i do
        yes i would
        yes that is right
        certainly
        absolutely
        yes of course
        that is right
        yes do that
        i would like that
        yes i want that
        yes go ahead
        yeah sure
        oh yes
        yes that would be nice
        why not
        very much
        yes that is correct
        yes i think so
        i think so
        yes that sounds good
        that would be nice
        yes okay
        yes right
        correct
    """, yes, "exclamation", chat=True, weight=0.7),
    Skill("no", """
        no
        no thank you
        no thanks
        not now
        not really
        i do not think so
        no i do not
        no that is wrong
        not at the moment
        no not that
        of course not
        rather not
        not today
        no thank you very much
        no i do not want that
        i do not want that
        no i am fine
        no i do not like it
        no that is not it
        not really no
        no i would rather not
        i would rather not
        no leave it
        leave it
        no that is okay
        no not that one
    """, no, "exclamation", chat=True, weight=0.7),
    Skill("okay", """
        okay
        all right
        right
        i see
        good
        great
        fine
        very good
        okay good
        that is fine
        i understand
        sounds good
        that is good
        perfect
        nice
        cool
        wonderful
        okay great
        oh okay
        that is okay
        oh i see
        good to know
        that makes sense
        interesting
        got it
        that is fine with me
        okay i see
        that is good
        oh that is good
        okay that sounds good
        that is nice
        all right then
        okay fine
    """, okay, "exclamation", chat=True, weight=0.7),
    Skill("compliment", """
        you are (great|good|wonderful|funny|clever|smart|nice|sweet)
        you are very (good|nice|clever|funny|helpful)
        you are the best
        well done
        good job
        i like you
        i like your voice
        you have a nice voice
        that was (great|funny|nice|wonderful)
        that is (funny|great|very nice)
        that was a good (joke|story|answer)
        good robot
        you did well
        you are so smart
        i like talking to you
        you are really (good|clever|funny|smart)
        that was really (good|funny)
        i like your story
        i like your jokes
        you sound nice
        what a (nice|good) story
        you are amazing
        you are a good robot
        your voice is (nice|lovely|really nice)
        what a nice voice
        you do that very well
        you are so (funny|good|clever)
        you have done well
        nice work
        great job
    """, compliment, "statement", chat=True),
    Skill("complaint", """
        that is wrong
        that was wrong
        you are wrong
        you are (stupid|bad|useless|boring|annoying)
        that is not (right|what i said|what i asked|true)
        you did not understand [me]
        you do not understand me
        i did not say that
        i did not ask for that
        you made a mistake
        that was not funny
        that was a bad (joke|answer)
        this does not work
        you are not listening
        that is not what i meant
        you got (that|it) wrong
        you misunderstood me
        you heard me wrong
        that is not correct
        not like that
        you do not listen
        this is wrong
        your answer is wrong
        that is not what i wanted
        you heard something wrong
        i said something else
        i meant something else
        that is nonsense
        you are mistaken
    """, complaint, "statement", chat=True),
    Skill("apology", """
        sorry
        i am sorry
        i am so sorry
        sorry about that
        my mistake
        excuse me
        pardon me
        i apologize
        forgive me
        my fault
        i did not mean that
        i am sorry about that
        sorry my mistake
        i am very sorry
        i am really sorry
        oh sorry
        that was my mistake
        that was my fault
        i did not want to interrupt you
        sorry for that
        i am so sorry about this
        i made a mistake
        sorry i made a mistake
        sorry i was wrong
    """, apology, "exclamation", chat=True),
    Skill("presence", """
        can you hear me
        are you there
        do you hear me
        are you still there
        is anybody there
        is anyone there
        do you understand me
        can you understand me
        are you awake
        hello are you there
        testing one two three
        testing
        is this working
        are you still listening
        does this work
        hello can you hear me
        are you listening to me
        is someone there
        can you still hear me
        is my microphone working
        do you hear my voice
        anybody there
        is there anybody listening
        is anybody listening
        can you hear what i say
        can you hear my voice
        do you hear what i say
    """, presence, "question"),
    Skill("affection", """
        i love you
        i love you very much
        i really like you
        do you love me
        do you like me
        are you my friend
        will you be my friend
        you are my friend
        do you like people
        do you like talking to me
        do you have feelings
        are you happy
        do you have friends
        will you marry me
        can you be my friend
        can we be friends
        i want to be your friend
        let us be friends
        do you think you like me
        what do you think of me
        do you care about me
        do you have a family
        do you ever get (tired|bored|lonely)
        do you like music
        what do you like
        what is your favourite colour
        do you sleep
        do you dream
    """, affection, "question", weight=0.6),
)  # fmt: skip
