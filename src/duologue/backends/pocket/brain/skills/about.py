"""About itself and this project."""

from __future__ import annotations

from duologue.backends.pocket.brain.scene import Reply, Scene, Slots, say
from duologue.backends.pocket.brain.skills.skill import Skill

OFFER = "the time, sums, unit conversions, timers and reminders, counting, spelling, dice, jokes and stories"


def about_self(scene: Scene, slots: Slots) -> Reply:
    name = scene.persona.name
    return say(
        scene.one_of(
            f"I'm {name}, a small voice assistant. I run entirely on this computer, and I listen while I speak.",
            f"I'm {name}, the little model inside duologue. No cloud and no big network, just a few skills.",
            f"A small program called {name}. I hear you, I think briefly, and I answer. You can interrupt me.",
        )
    )


def own_name(scene: Scene, slots: Slots) -> Reply:
    return say(scene.one_of(f"My name is {scene.persona.name}.", f"I'm {scene.persona.name}."))


def maker(scene: Scene, slots: Slots) -> Reply:
    return say(
        "I was made by the developers of duologue, out of open parts: "
        "a voice detector, a speech recogniser, a set of skills, and a synthesizer."
    )


def project(scene: Scene, slots: Slots) -> Reply:
    return say(
        "Duologue is an open runtime for talking with speech models. Both sides may talk at once, "
        "either may start, and either may be interrupted. A duologue is a conversation between two."
    )


def models(scene: Scene, slots: Slots) -> Reply:
    return say(
        "Right now you are talking with pocket, the small model that comes with duologue. "
        "Duologue is built so that larger published speech models can take its place."
    )


def abilities(scene: Scene, slots: Slots) -> Reply:
    return say(
        scene.one_of(
            f"I can help with {OFFER}. For example, say: set a timer for ten minutes.",
            f"Quite a few small things: {OFFER}. Try: what is seven times eight?",
            f"Ask me about {OFFER}. You could say: tell me a story.",
        )
    )


def privacy(scene: Scene, slots: Slots) -> Reply:
    return say(
        "I work on the machine that runs duologue, without any outside service. "
        "What you tell me is forgotten when our conversation ends."
    )


SKILLS = (
    Skill("about_self", """
        who are you
        what are you
        tell me about yourself
        tell me [something|more] about you
        are you a robot
        are you a (machine|computer|program)
        are you (human|real|alive)
        are you a (person|real person|human being)
        introduce yourself
        who am i (talking|speaking) to
        what kind of (robot|machine|assistant) are you
        describe yourself
        am i talking to a (machine|robot|computer)
        how do you work
        how old are you
        what exactly are you
        what sort of thing are you
        are you just a (machine|computer|program)
        who is speaking
        who is talking
        are you perhaps a (machine|robot|computer)
        i wonder (who|what) you are
        say something about yourself
        tell me all about yourself
        what are you really
        tell me who you are
        tell me what you are
    """, about_self, "question"),
    Skill("own_name", """
        what is your name
        what are you called
        do you have a name
        tell me your name
        what should i call you
        what can i call you
        who is this
        say your name
        how are you called
        may i ask your name
        what do people call you
        what do i call you
        your name please
        do you have any name
        by what name should i call you
        which name do you have
        have you got a name
        what name do you have
        may i know your name
        i forgot your name
        what was your name again
        have you got any name
    """, own_name, "question"),
    Skill("maker", """
        who made you
        who (built|created|wrote) you
        who is your (maker|creator)
        who are your (makers|creators|developers)
        who programmed you
        where (do|did) you come from
        where are you from
        who invented you
        who designed you
        how were you made
        what are you made of
        who do you belong to
        who owns you
        who are the people behind you
        who is behind you
        who is the (man|woman|person) who made you
        by whom were you made
        who put you together
        which company made you
        tell me about your (makers|maker|creator|creators)
        which people (made|created|built) you
        what company made you
        did somebody make you
    """, maker, "question"),
    Skill("project", """
        what is duologue
        tell me about duologue
        what is this project
        what is this [program|software]
        explain duologue
        what does duologue do
        what does duologue mean
        tell me about this project
        what is a duologue
        how does duologue work
        what is duologue for
        what is the duologue project
        what is this project about
        describe duologue
        tell me something about duologue
        tell me more about duologue
        describe this project
        what is duologue good for
        what kind of project is this
        what kind of program is this
        what exactly is duologue
        tell me all about (duologue|this project)
        what is special about duologue
        what do people use duologue for
    """, project, "question"),
    Skill("models", """
        which model are you
        what model are you
        which models can you run
        what model is this
        which model is (running|this)
        which speech models do you (know|support)
        what models are there
        list the models
        what other models are there
        which language model are you
        which model am i talking to
        what model am i talking to
        can you run other models
        which model am i (speaking|talking) with
        what kind of model are you
        which model do you use
        what models do you have
        what model do you run
        name the models
        is there another model
        are there other models
        can i use another model
        what is the name of this model
        what is the name of the model
        can i change the model
    """, models, "question"),
    Skill("abilities", """
        what can you do
        help
        help me
        i need help
        what do you do
        what can i (ask|say)
        what can i ask you
        what can i say to you
        what are you able to do
        what are your skills
        tell me what you can do
        what do you know
        how can you help me
        what can you help me with
        give me some (examples|help)
        what are you good at
        how can i use you
        what else can you do
        what kind of things can you do
        what sort of things do you know
        what things can you do
        tell me what things you can do
        which things can you do
        list your skills
        show me your skills
        show me what you know
        what would you do for me
        tell me about your skills
        i do not know what to ask
        what should i ask you
        what shall i say
        what questions can i ask
        what can i do with you
        show me what you can do
        what do you offer
    """, abilities, "question", weight=1.2),
    Skill("privacy", """
        are you listening
        are you recording me
        are you recording this
        do you record me
        do you keep what i say
        do you store my data
        where does my voice go
        who can hear me
        is this private
        are you online
        do you need the internet
        are you connected to the internet
        do you send my voice anywhere
        do you keep my (words|voice|data)
        do you save what i say
        do you record what i say
        do you remember what i say
        who is listening to me
        is anybody else listening
        is (someone|anybody) recording (us|me|this)
        will you keep my voice
        is my voice recorded
        do you tell others what i say
        does anybody hear what i say
    """, privacy, "question", weight=0.6),
)  # fmt: skip
