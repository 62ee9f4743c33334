from local.jaas.faults import Cut, Drop, Fail, Faults, HtmlPage, Trickle


def test_a_link_without_a_script_behaves() -> None:
    assert Faults().take("GET") == ()


def test_a_fault_goes_wrong_as_often_as_told() -> None:
    faults = Faults().then(Fail(), times=2)
    assert [faults.take("GET") for _ in range(3)] == [(Fail(),), (Fail(),), ()]


def test_faults_go_wrong_one_after_the_other() -> None:
    faults = Faults().then(Fail()).then(HtmlPage())
    assert [faults.take("GET"), faults.take("GET")] == [(Fail(),), (HtmlPage(),)]


def test_an_empty_step_lets_requests_through() -> None:
    faults = Faults().then(times=2).then(Drop())
    assert [faults.take("GET") for _ in range(3)] == [(), (), (Drop(),)]


def test_what_always_goes_wrong_joins_the_script() -> None:
    faults = Faults().always(Trickle(10)).then(Fail())
    assert [faults.take("GET"), faults.take("GET")] == [(Trickle(10), Fail()), (Trickle(10),)]


def test_faults_of_one_step_go_wrong_together() -> None:
    assert Faults().then(Drop(), Fail()).take("GET") == (Drop(), Fail())


def test_a_fault_of_the_body_waits_for_a_get() -> None:
    faults = Faults().then(Cut(10))
    assert [faults.take("HEAD"), faults.take("GET")] == [(), (Cut(10),)]


def test_no_times_is_no_fault() -> None:
    assert Faults().then(Fail(), times=0).take("GET") == ()


def test_a_cleared_script_is_over() -> None:
    faults = Faults().always(Trickle(10)).then(Fail())
    faults.clear()
    assert faults.take("GET") == ()


def test_the_script_knows_how_much_is_left() -> None:
    faults = Faults().then(Fail(), times=3).then(Drop())
    faults.take("GET")
    assert faults.scripted == 3
