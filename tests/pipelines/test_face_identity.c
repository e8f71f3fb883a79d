// Faces keep their numbers: planted boxes and looks, heads drawn as patterns, and which is chosen.
#include "pipelines/faces/face_choice.h"
#include "pipelines/faces/face_identity.h"

#include "tests/support/check.h"

#include <string.h>

#define WIDTH 320
#define HEIGHT 160
#define SIDE 60

static uint8_t pixels[HEIGHT][WIDTH][3];

static rml_planes picture_of(void)
{
    static rml_frame frame;
    frame = (rml_frame){
        .data = &pixels[0][0][0], .width = WIDTH, .height = HEIGHT, .pitch = sizeof pixels[0]};
    return rml_planes_of_frame(&frame);
}

// A head as a pattern of its own, `shade` levels lighter.
static void draw(int who, rml_box box, int shade)
{
    for (int y = box.y1; y < box.y2; y++)
        for (int x = box.x1; x < box.x2; x++) {
            const int u = (x - box.x1) * 3 / SIDE, v = (y - box.y1) * 3 / SIDE;
            const int bit = (u * (who + 2) + v * (3 - who)) % 5;
            if (x < 0 || y < 0 || x >= WIDTH || y >= HEIGHT)
                continue;
            pixels[y][x][0] = (uint8_t)(60 + 20 * bit + 30 * who + shade);
            pixels[y][x][1] = (uint8_t)(90 + 15 * bit + shade);
            pixels[y][x][2] = (uint8_t)(150 + 10 * bit - 40 * who + shade);
        }
}

static rml_box box_at(int x, int y)
{
    return (rml_box){x, y, x + SIDE, y + SIDE};
}

static rml_face_identities *make(void)
{
    rml_face_identities *identities = NULL;
    CHECK(rml_face_identities_create(&identities, rml_allocator_default(), NULL) == RML_OK);
    return identities;
}

static void look(rml_face_looks *looks, const rml_box *boxes, int count)
{
    const rml_planes picture = picture_of();
    for (int i = 0; i < count; i++)
        rml_face_looks_make(&looks[i], &picture, boxes[i]);
}

static void test_looks(void)
{
    const rml_box boxes[2] = {box_at(20, 20), box_at(200, 50)};
    rml_face_looks before[2], after[2];
    memset(pixels, 40, sizeof pixels);
    draw(0, boxes[0], 0);
    draw(1, boxes[1], 0);
    look(before, boxes, 2);
    CHECK_MSG(rml_face_likeness(&before[0], &before[1]) < 0.5f, "%g",
              (double)rml_face_likeness(&before[0], &before[1]));
    CHECK(rml_face_likeness(&before[0], &before[0]) > 0.9999f);
    // Light, and a box that is a little off, change little.
    const rml_box moved[2] = {box_at(22, 19), box_at(197, 51)};
    draw(0, boxes[0], 20);
    draw(1, boxes[1], 20);
    look(after, moved, 2);
    for (int i = 0; i < 2; i++)
        CHECK_MSG(rml_face_likeness(&before[i], &after[i]) > 0.8f, "%g",
                  (double)rml_face_likeness(&before[i], &after[i]));
    // Beside the picture, and of one colour.
    const rml_box odd[2] = {{-50, -50, -10, -10}, {300, 150, 400, 170}};
    look(after, odd, 2);
    CHECK(rml_face_likeness(&after[0], &after[0]) >= 0);
}

// Two heads walk through each other; of those that overlap by more than 0.3 the detector finds the
// one in front. `front`: which; `alike`: they have the same looks. The order in which they are
// found changes.
static void cross(int front, bool alike, int speed)
{
    rml_face_identities *identities = make();
    int number_of[2] = {0, 0}, both = 0, hidden = 0;
    for (int i = 0; 20 + speed * i <= 240; i++) {
        const rml_box place[2] = {box_at(20 + speed * i, 40), box_at(240 - speed * i, 44)};
        memset(pixels, 40, sizeof pixels);
        draw(alike ? 0 : 1 - front, place[1 - front], 0);
        draw(alike ? 0 : front, place[front], 0);
        rml_box found[2];
        int who[2], count = 0, numbers[2];
        for (int k = 0; k < 2; k++) {
            const int head = (k + i) % 2;
            if (head != front && rml_box_overlap(place[0], place[1]) > 0.3)
                continue;
            // Boxes of detectors tremble.
            found[count] = box_at(place[head].x1 + i * 7 % 3 - 1, place[head].y1 + i * 5 % 3 - 1);
            who[count++] = head;
        }
        rml_face_looks looks[2];
        look(looks, found, count);
        rml_face_identities_next(identities, found, looks, count, false, numbers);
        for (int k = 0; k < count; k++) {
            if (i == 0)
                number_of[who[k]] = numbers[k];
            CHECK_MSG(numbers[k] == number_of[who[k]],
                      "front %d alike %d speed %d, frame %d: head %d has number %d", front, alike,
                      speed, i, who[k], numbers[k]);
        }
        both += count == 2;
        hidden += count == 1;
    }
    CHECK(both > 10 && hidden > 2);
    CHECK(number_of[0] == 1 && number_of[1] == 2); // from left to right
    rml_face_identities_destroy(&identities);
}

static int next_one(rml_face_identities *identities, int who, rml_box box, bool cut)
{
    rml_face_looks looks;
    int number;
    memset(pixels, 40, sizeof pixels);
    draw(who, box, 0);
    look(&looks, &box, 1);
    rml_face_identities_next(identities, &box, &looks, 1, cut, &number);
    return number;
}

static void test_cuts(void)
{
    rml_face_identities *identities = make();
    CHECK(next_one(identities, 0, box_at(20, 20), false) == 1);
    CHECK(next_one(identities, 0, box_at(23, 20), false) == 1);
    // Somebody else at the same place, and back.
    CHECK(next_one(identities, 1, box_at(23, 20), true) == 2);
    CHECK(next_one(identities, 1, box_at(23, 20), false) == 2);
    CHECK(next_one(identities, 0, box_at(150, 60), true) == 1);
    // Away for a while, and elsewhere.
    for (int i = 0; i < 40; i++)
        rml_face_identities_next(identities, NULL, NULL, 0, false, NULL);
    CHECK(next_one(identities, 1, box_at(220, 30), false) == 2);
    rml_face_identities_destroy(&identities);

    // Numbers that a file gave go on.
    identities = make();
    rml_face_looks looks[2];
    const rml_box boxes[2] = {box_at(20, 20), box_at(200, 50)};
    const int given[2] = {7, 4};
    int numbers[2];
    memset(pixels, 40, sizeof pixels);
    draw(0, boxes[0], 0);
    draw(1, boxes[1], 0);
    look(looks, boxes, 2);
    rml_face_identities_learn(identities, boxes, looks, 2, false, given);
    rml_face_identities_next(identities, boxes, looks, 2, false, numbers);
    CHECK(numbers[0] == 7 && numbers[1] == 4);
    rml_face_identities_destroy(&identities);

    // More people than are remembered.
    identities = make();
    for (int i = 0; i < 3 * RML_IDENTITIES_MOST; i++) {
        rml_face_looks odd = {{0}};
        odd.value[i] = 1;
        const rml_box at = box_at(100 * i, 0);
        rml_face_identities_next(identities, &at, &odd, 1, true, numbers);
        CHECK(numbers[0] == i + 1);
    }
    rml_face_identities_destroy(&identities);
}

static void test_parse(void)
{
    rml_face_choice choice;
    static const char *const wrong[] = {"",         "0",        "-1",       "1.5",      "0x2",
                                        "biggest",  "at:",      "at:1",     "at:1,",    "at:1,2@",
                                        "at:-1,2",  "at:1,2,3", "at:1,2@x", "at:nan,2", "1000001",
                                        "at:1e3,2", " 2"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_MSG(!rml_face_choice_parse(wrong[i], &choice), "'%s' is taken", wrong[i]);
    CHECK(rml_face_choice_parse("right", &choice) && choice.kind == RML_CHOOSE_RIGHT);
    CHECK(rml_face_choice_parse("12", &choice) && choice.kind == RML_CHOOSE_NUMBER);
    CHECK(choice.number == 12);
    CHECK(rml_face_choice_parse("at:10,20.5@1.25", &choice) && choice.kind == RML_CHOOSE_AT);
    CHECK(choice.x == 10 && choice.y == 20.5 && choice.seconds == 1.25);
    CHECK(rml_face_choice_parse("at:10,20", &choice) && choice.seconds == 0);
}

static int choose(rml_face_chooser *c, const char *present, bool cut)
{
    // 1 on the left, 2 large in the middle, 3 on the right; the first named is the best.
    static const rml_box at[4] = {
        {0, 0, 0, 0}, {0, 0, 50, 50}, {100, 0, 200, 100}, {250, 0, 300, 50}};
    rml_numbered_face faces[4];
    int count = 0;
    for (; present[count]; count++)
        faces[count] = (rml_numbered_face){{.box = at[present[count] - '0']}, present[count] - '0'};
    const rml_numbered_face *chosen = rml_face_choose(c, faces, count, cut);
    return chosen ? chosen->number : 0;
}

static void test_choice(void)
{
    static const struct {
        const char *name;
        int first, alone, after_cut;
    } cases[] = {{"largest", 2, 0, 3}, {"left", 1, 1, 1}, {"right", 3, 0, 3}, {"2", 2, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rml_face_chooser c = {.followed = 0};
        CHECK(rml_face_choice_parse(cases[i].name, &c.choice));
        CHECK(choose(&c, "", false) == 0);
        CHECK_MSG(choose(&c, "132", false) == cases[i].first, "%s", cases[i].name);
        CHECK_MSG(choose(&c, "1", false) == cases[i].alone, "%s", cases[i].name);
        CHECK_MSG(choose(&c, "312", false) == cases[i].first, "%s", cases[i].name);
        const int expected = cases[i].after_cut;
        CHECK_MSG(choose(&c, expected == 1 ? "31" : "3", true) == expected, "%s", cases[i].name);
    }
    // The best, who is followed; who was beside it is somebody else until the scene ends.
    rml_face_chooser c = {.followed = 0};
    CHECK(choose(&c, "32", false) == 3 && choose(&c, "23", false) == 3);
    CHECK(choose(&c, "2", false) == 0 && choose(&c, "1", false) == 1);
    CHECK(choose(&c, "2", true) == 2 && choose(&c, "3", false) == 3);

    rml_numbered_face faces[2] = {{{.box = {0, 0, 100, 100}}, 5}, {{.box = {60, 0, 160, 100}}, 6}};
    CHECK(rml_face_at(faces, 2, 70, 50)->number == 5 && rml_face_at(faces, 2, 90, 50)->number == 6);
    CHECK(rml_face_at(faces, 2, 160, 50) == NULL && rml_face_at(faces, 0, 1, 1) == NULL);
}

int main(void)
{
    test_looks();
    for (int front = 0; front < 2; front++) {
        cross(front, false, 4);
        cross(front, false, 10);
        cross(front, true, 6);
    }
    test_cuts();
    test_parse();
    test_choice();
    return check_result();
}
